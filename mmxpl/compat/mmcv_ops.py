"""Lets mmdet be imported beside an MMCV that has no compiled operators."""

import importlib
import importlib.util
import sys
import types
from collections.abc import Callable

_MODULE = 'mmcv._ext'


class _MissingOps(types.ModuleType):
    """Stands in for ``mmcv._ext``: every operator exists and raises."""

    def __getattr__(self, name: str) -> Callable:
        if name.startswith('__'):
            raise AttributeError(name)

        def missing_op(*args, **kwargs):
            raise RuntimeError(
                f"The compiled MMCV operator '{name}' was called, but this MMCV was "
                'installed without compiled operators. Build it with them (pip '
                'install --no-build-isolation --no-deps --force-reinstall '
                '--no-cache-dir onedl-mmcv, beside an installed PyTorch; it takes '
                'long), or choose a model that needs none.'
            )

        return missing_op


def has_mmcv_ops() -> bool:
    """Tells whether MMCV's compiled operators are installed.

    Returns:
        bool: True if the real ``mmcv._ext`` can be found.

    Raises:
        ModuleNotFoundError: If MMCV is not installed.
    """
    return importlib.util.find_spec(_MODULE) is not None


def ensure_mmcv_ops() -> None:
    """Makes ``mmcv.ops`` importable where the compiled operators are missing.

    ``mmdet.models`` imports the operators at its own import, although the
    backbones call none of them. So ``mmcv.ops`` is imported here beside a
    stand-in for ``mmcv._ext``: a call of an operator then raises a RuntimeError
    that names it and the remedy. Only ``mmcv.ops`` keeps the stand-in; it does
    not stay in ``sys.modules``, where MMEngine and others look to find out
    whether there are operators.

    Raises:
        ModuleNotFoundError: If MMCV is not installed.
    """
    if 'mmcv.ops' in sys.modules or has_mmcv_ops():
        return
    sys.modules[_MODULE] = _MissingOps(_MODULE)
    try:
        importlib.import_module('mmcv.ops')
    finally:
        del sys.modules[_MODULE]
