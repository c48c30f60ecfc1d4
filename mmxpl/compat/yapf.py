"""yapf, with which MMEngine prints configs: imported safely, and called once a text."""

import importlib
import pickle
import time
from functools import wraps
from typing import Any

_KEPT = 8


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


def cache_yapf() -> None:
    """Has yapf remember what it made of the last texts.

    A run prints its config several times, and again with every checkpoint; yapf
    takes 0.4 s for a config of this project.
    """
    from yapf.yapflib import yapf_api

    format_code = yapf_api.FormatCode
    if hasattr(format_code, '__wrapped__'):
        return
    formatted: dict[tuple[str, str], tuple[str, bool]] = {}

    @wraps(format_code)
    def cached(text: str, *args: Any, **kwargs: Any) -> tuple[str, bool]:
        key = (text, repr((args, kwargs)))
        if key not in formatted:
            if len(formatted) == _KEPT:
                formatted.clear()
            formatted[key] = format_code(text, *args, **kwargs)
        return formatted[key]

    yapf_api.FormatCode = cached
