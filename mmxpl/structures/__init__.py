"""Data structures."""

from .affine import compose_affine, invert_affine, visible_cells, warp
from .av_data_sample import AVDataSample

__all__ = ['AVDataSample', 'compose_affine', 'invert_affine', 'visible_cells', 'warp']
