"""Imports torchaudio's transforms, or explains why they cannot be had.

The transforms are plain PyTorch, but ``import torchaudio`` first loads a native
library that must match PyTorch's build: beside a PyTorch without CUDA it fails
with an OSError, beside one of another CUDA version with a RuntimeError. Without
the library's files the import succeeds and the transforms work the same.
"""

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType


def native_libraries() -> list[Path]:
    """Lists torchaudio's native library files without importing torchaudio.

    Returns:
        list[Path]: The shared libraries, empty if there are none or if
        torchaudio is not installed.
    """
    spec = importlib.util.find_spec('torchaudio')
    if spec is None or spec.origin is None:
        return []
    folder = Path(spec.origin).parent / 'lib'
    return sorted(p for p in folder.glob('*') if p.suffix in {'.so', '.pyd', '.dylib'})


def has_native_torchaudio() -> bool:
    """Tells whether torchaudio's native library is there and loads.

    Returns:
        bool: True if it is. False means that the transforms may still work,
        since they do not need it.
    """
    try:
        importlib.import_module('torchaudio')
    except (ImportError, OSError, RuntimeError):
        return False
    return bool(native_libraries())


def torchaudio_transforms() -> ModuleType:
    """Imports ``torchaudio.transforms`` when it is first needed.

    Returns:
        ModuleType: The module.

    Raises:
        ImportError: If torchaudio is missing, or if its native library does
            not fit PyTorch. The message says what to do.
    """
    try:
        return importlib.import_module('torchaudio.transforms')
    except (ImportError, OSError, RuntimeError) as error:
        raise ImportError(_remedy(error)) from error


def _remedy(error: Exception) -> str:
    """Writes what to do about a failed import of torchaudio."""
    if importlib.util.find_spec('torchaudio') is None:
        return (
            'torchaudio is not installed; its transforms turn waveforms into '
            'spectrograms. Install the release that matches your PyTorch, for '
            'example: pip install --no-deps torchaudio==2.11.0'
        )
    import torch

    reason = str(error).strip().splitlines()
    message = (
        f'torchaudio cannot be imported beside PyTorch {torch.__version__} '
        f'({type(error).__name__}: {reason[0] if reason else "no message"}). '
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
