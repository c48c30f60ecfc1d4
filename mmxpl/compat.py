"""Workarounds for missing or mismatched native libraries, and for yapf."""

import importlib
import importlib.util
import pickle
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

_MMCV_OPS = 'mmcv._ext'
_UNDEFINED = re.compile(r'operator torchvision::\w+ does not exist')
# operators that the import of torchvision needs
_OPERATORS = ('nms', 'qnms')
_SCHEMA = '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor'
_libraries: list = []  # keeps the definitions alive


class _MissingOps(ModuleType):
    """Replacement of ``mmcv._ext`` whose operators raise when they are called."""

    def __getattr__(self, name: str) -> Callable:
        if name.startswith('__'):
            raise AttributeError(name)
        return _raising(
            f"The compiled MMCV operator '{name}' was called, but this MMCV was "
            'installed without compiled operators. Build it with them (pip install '
            '--no-build-isolation --no-deps --force-reinstall --no-cache-dir '
            'onedl-mmcv, beside an installed PyTorch; it takes long), or choose a '
            'model that needs none.'
        )


def has_mmcv_ops() -> bool:
    """Returns whether MMCV's compiled operators are installed.

    Raises:
        ModuleNotFoundError: If MMCV is not installed.
    """
    return importlib.util.find_spec(_MMCV_OPS) is not None


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
    sys.modules[_MMCV_OPS] = _MissingOps(_MMCV_OPS)
    try:
        importlib.import_module('mmcv.ops')
    finally:
        del sys.modules[_MMCV_OPS]


def native_libraries() -> list[Path]:
    """Lists torchaudio's native library files without importing torchaudio."""
    spec = importlib.util.find_spec('torchaudio')
    if spec is None or spec.origin is None:
        return []
    folder = Path(spec.origin).parent / 'lib'
    return sorted(p for p in folder.glob('*') if p.suffix in {'.so', '.pyd', '.dylib'})


def has_native_torchaudio() -> bool:
    """Returns whether torchaudio's native library exists and loads.

    The transforms do not need it: without its files the import succeeds.
    """
    try:
        importlib.import_module('torchaudio')
    except (ImportError, OSError, RuntimeError):
        return False
    return bool(native_libraries())


def torchaudio_transforms() -> ModuleType:
    """Imports ``torchaudio.transforms``.

    Raises:
        ImportError: If torchaudio is missing or its native library does not match
            PyTorch; with the remedy.
    """
    try:
        return importlib.import_module('torchaudio.transforms')
    except (ImportError, OSError, RuntimeError) as error:
        raise ImportError(_torchaudio_remedy(error)) from error


def _torchaudio_remedy(error: Exception) -> str:
    if importlib.util.find_spec('torchaudio') is None:
        return (
            'torchaudio is not installed; its transforms turn waveforms into '
            'spectrograms. Install the release that matches your PyTorch, for '
            'example: pip install --no-deps torchaudio==2.11.0'
        )
    import torch

    message = (
        f'torchaudio cannot be imported beside PyTorch {torch.__version__} '
        f'({_reason(error)}). '
        'Install a matching pair (pip install "torch==2.11.*" "torchaudio==2.11.*")'
    )
    libraries = native_libraries()
    if libraries:
        message += (
            ', or, since the transforms do not need the native library, rename '
            f'the files {libraries[0].parent}/*{libraries[0].suffix} so that '
            'torchaudio no longer finds them'
        )
    return message + '.'


def ensure_torchvision() -> None:
    """Makes ``torchvision`` importable if its native library does not load.

    The import needs operators that the library defines. Where it does not load, as
    PyPI's with a PyTorch without CUDA, the import fails with "operator torchvision::nms
    does not exist", although timm and mmpretrain call no operator. Defines those
    operators; they raise a RuntimeError when they are called. Does nothing if
    torchvision is not installed or can be imported.

    Raises:
        ImportError: If torchvision cannot be imported for another reason; with the
            reason and the remedy.
    """
    if 'torchvision' in sys.modules or importlib.util.find_spec('torchvision') is None:
        return
    before = set(sys.modules)
    for operators_are_defined in (False, True):
        try:
            importlib.import_module('torchvision')
            return
        except (ImportError, OSError, RuntimeError) as error:
            if operators_are_defined or not _UNDEFINED.search(str(error)):
                raise ImportError(
                    'torchvision is installed but cannot be imported '
                    f'({_reason(error)}). {_pair()}'
                ) from error
        # remove the modules of the failed import
        for name in set(sys.modules) - before:
            if name.partition('.')[0] == 'torchvision':
                del sys.modules[name]
        _define_operators()


def _define_operators() -> None:
    import torch

    library = torch.library.Library('torchvision', 'FRAGMENT')
    _libraries.append(library)
    for name in _OPERATORS:
        if not hasattr(torch.ops.torchvision, name):
            operator = _raising(
                f"The torchvision operator '{name}' was called, but torchvision's "
                f'native library does not load beside this PyTorch. {_pair()}'
            )
            library.define(name + _SCHEMA)
            library.impl(name, operator, 'CompositeExplicitAutograd')


def _pair() -> str:
    import torch

    return (
        f'Install the torchvision that was built for PyTorch {torch.__version__}: '
        'see the table at https://github.com/pytorch/vision#installation.'
    )


def _reason(error: Exception) -> str:
    """Formats type and first line of an error."""
    lines = str(error).strip().splitlines()
    return f'{type(error).__name__}: {lines[0] if lines else "no message"}'


def _raising(message: str) -> Callable:
    def missing_operator(*args, **kwargs):
        raise RuntimeError(message)

    return missing_operator


def ensure_yapf(attempts: int = 20, wait: float = 0.25) -> None:
    """Imports yapf, and tries again if its cache is incomplete.

    The first import writes yapf's grammar into the user's cache. Processes that start
    at the same time, such as the ranks of a run, can read an incomplete file: EOFError
    or UnpicklingError, which the last attempt raises. They ``wait`` for seconds.
    """
    for attempt in range(attempts):
        try:
            importlib.import_module('yapf')
            return
        except (EOFError, pickle.UnpicklingError):
            if attempt == attempts - 1:
                raise
            time.sleep(wait)
