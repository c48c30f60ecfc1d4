"""yapf, with which MMEngine prints configs, imported by several processes at once."""

import importlib
import pickle
import time


def ensure_yapf(attempts: int = 20, wait: float = 0.25) -> None:
    """Imports yapf, whose tables another process may be writing.

    At its first import in a new environment yapf writes its grammar into the
    user's cache. A process that starts at the same time can find a file there
    that is not complete, and stops with an EOFError: ranks of one run do, and
    trainings that are started side by side.

    Args:
        attempts (int): How often the import is tried. Defaults to 20.
        wait (float): Seconds between two attempts. Defaults to 0.25.

    Raises:
        EOFError | pickle.UnpicklingError: If the last attempt fails as well.
    """
    for attempt in range(attempts):
        try:
            importlib.import_module('yapf')
            return
        except (EOFError, pickle.UnpicklingError):
            if attempt == attempts - 1:
                raise
            time.sleep(wait)
