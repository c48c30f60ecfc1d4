"""Import of mmdet with an MMCV that has no compiled operators."""

import importlib
import importlib.util
import sys
import types
from collections.abc import Callable

_MODULE = 'mmcv._ext'


class _MissingOps(types.ModuleType):
    """Replacement of ``mmcv._ext`` whose operators raise when they are called."""

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
    """Returns whether MMCV's compiled operators are installed.

    Returns:
        bool: True if the real ``mmcv._ext`` can be found.

    Raises:
        ModuleNotFoundError: If MMCV is not installed.
    """
    return importlib.util.find_spec(_MODULE) is not None


def ensure_mmcv_ops() -> None:
    """Makes ``mmcv.ops`` importable without compiled operators.

    ``mmdet.models`` imports the operators, although its backbones call none of them.
    With the replacement an operator raises a RuntimeError when it is called. The
    replacement does not stay in ``sys.modules``, where MMEngine looks for operators.

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
