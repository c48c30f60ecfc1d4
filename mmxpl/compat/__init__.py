"""Bridges over what an installation may lack."""

from .mmcv_ops import ensure_mmcv_ops, has_mmcv_ops
from .torchaudio import has_native_torchaudio, torchaudio_transforms
from .yapf import ensure_yapf

__all__ = [
    'ensure_mmcv_ops',
    'ensure_yapf',
    'has_mmcv_ops',
    'has_native_torchaudio',
    'torchaudio_transforms',
]
