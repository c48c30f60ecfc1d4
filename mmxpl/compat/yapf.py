"""Safe import and caching of yapf, with which MMEngine formats configs."""

import importlib
import pickle
import time
from functools import wraps
from typing import Any

_KEPT = 8


def ensure_yapf(attempts: int = 20, wait: float = 0.25) -> None:
    """Imports yapf, and tries again if its cache is incomplete.

    The first import writes yapf's grammar into the user's cache. Processes that start
    at the same time, such as the ranks of a run, can read an incomplete file.

    Args:
        attempts (int): Number of attempts.
        wait (float): Seconds between two attempts.

    Raises:
        EOFError | pickle.UnpicklingError: If the last attempt fails.
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
    """Caches yapf's last results.

    A run formats its config several times and with every checkpoint, which takes yapf
    0.4 s each.
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
