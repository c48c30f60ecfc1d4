"""Import of torchaudio's transforms, with an error that names the remedy.

The transforms are plain PyTorch, but ``import torchaudio`` loads a native library that
must match PyTorch's build. Otherwise it raises an OSError or RuntimeError. Without the
library's files the import succeeds.
"""

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType


def native_libraries() -> list[Path]:
    """Lists torchaudio's native library files without importing torchaudio.

    Returns:
        list[Path]: The shared libraries; empty if torchaudio is not installed.
    """
    spec = importlib.util.find_spec('torchaudio')
    if spec is None or spec.origin is None:
        return []
    folder = Path(spec.origin).parent / 'lib'
    return sorted(p for p in folder.glob('*') if p.suffix in {'.so', '.pyd', '.dylib'})


def has_native_torchaudio() -> bool:
    """Returns whether torchaudio's native library exists and loads.

    Returns:
        bool: False does not exclude that the transforms work, which do not need it.
    """
    try:
        importlib.import_module('torchaudio')
    except (ImportError, OSError, RuntimeError):
        return False
    return bool(native_libraries())


def torchaudio_transforms() -> ModuleType:
    """Imports ``torchaudio.transforms``.

    Returns:
        ModuleType: The module.

    Raises:
        ImportError: If torchaudio is missing or its native library does not match
            PyTorch; with the remedy.
    """
    try:
        return importlib.import_module('torchaudio.transforms')
    except (ImportError, OSError, RuntimeError) as error:
        raise ImportError(_remedy(error)) from error


def _remedy(error: Exception) -> str:
    """Returns the error message for a failed import of torchaudio."""
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
