"""Workarounds for missing or mismatched native libraries, and for yapf."""

from .mmcv_ops import ensure_mmcv_ops, has_mmcv_ops
from .torchaudio import has_native_torchaudio, torchaudio_transforms
from .torchvision import ensure_torchvision
from .yapf import cache_yapf, ensure_yapf

__all__ = [
    'ensure_mmcv_ops',
    'ensure_torchvision',
    'ensure_yapf',
    'has_mmcv_ops',
    'has_native_torchaudio',
    'cache_yapf',
    'torchaudio_transforms',
]
