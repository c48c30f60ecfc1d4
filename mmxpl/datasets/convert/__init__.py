"""Conversion of raw media and labels of other formats into the supported layouts."""

from .batch import convert_batch, copy_bytes, write_image, write_text, write_wav
from .labels import check_sizes, coco_labels, mask_labels, read_mask

__all__ = [
    'check_sizes',
    'coco_labels',
    'convert_batch',
    'copy_bytes',
    'mask_labels',
    'read_mask',
    'write_image',
    'write_text',
    'write_wav',
]
