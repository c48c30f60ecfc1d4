"""Brings raw media and foreign annotations into the layouts that are read here."""

from .batch import convert_batch
from .coco import coco_labels
from .files import write_image, write_wav
from .masks import mask_labels
from .video import MIDDLE, read_video_frame, read_video_sound

__all__ = [
    'MIDDLE',
    'coco_labels',
    'convert_batch',
    'mask_labels',
    'read_video_frame',
    'read_video_sound',
    'write_image',
    'write_wav',
]
