"""Data sample, rasterization of boxes, and affine transforms."""

from .affine import compose_affine, invert_affine, visible_cells, warp
from .av_data_sample import ORIGINAL, AVDataSample
from .rasterize import rasterize_boxes, rasterize_consensus

__all__ = [
    'ORIGINAL',
    'AVDataSample',
    'compose_affine',
    'invert_affine',
    'rasterize_boxes',
    'rasterize_consensus',
    'visible_cells',
    'warp',
]
