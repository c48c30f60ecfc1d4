"""Brings raw media and foreign annotations into the layouts that are read here."""

from .batch import convert_batch
from .coco import check_sizes, coco_labels
from .files import write_image, write_wav
from .masks import mask_labels

__all__ = [
    'check_sizes',
    'coco_labels',
    'convert_batch',
    'mask_labels',
    'write_image',
    'write_wav',
]
