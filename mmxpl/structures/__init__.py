"""Data sample, rasterization of boxes, and affine transforms."""

from .av_data_sample import ORIGINAL, AVDataSample
from .geometry import (
    compose_affine,
    invert_affine,
    rasterize_boxes,
    rasterize_consensus,
    visible_cells,
    warp,
)
