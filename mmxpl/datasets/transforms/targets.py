"""Draws the ground truth as the evaluation protocol sees it."""

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from torch import Tensor

from mmxpl.registry import TRANSFORMS
from mmxpl.structures import rasterize_boxes, rasterize_consensus
from mmxpl.utils import DataError

from ..annotations import decode_rle

# what is drawn, and the key that holds it
SOURCES = {'boxes': 'bboxes', 'mask': 'mask', 'consensus': 'annotators'}


@TRANSFORMS.register_module()
class RasterizeTargets(BaseTransform):
    """Draws the boxes, or the mask, of a labeled clip into a map.

    Boxes give their union, as VGG-SS is evaluated; a mask is resized by area
    and is set where at least half of a cell is covered; the consensus of several
    annotators is that of Flickr-SoundNet, see
    :func:`mmxpl.structures.rasterize_consensus`. Of a clip that does not
    sound the map is empty. Unlabeled clips pass unchanged.

    Required keys: ``is_labeled``, ``sample_id``, and ``bboxes``, ``mask`` or
    ``annotators``. Optional key: ``is_sounding``. Added key: ``gt_map``, a
    float32 tensor of shape (size, size) in {0, 1}; in {0, 0.5, 1} for a
    consensus.

    Args:
        size (int): side of the map. Defaults to 224, the protocol's.
        source (str): 'boxes', 'mask' or 'consensus'. Defaults to 'boxes'.
    """

    def __init__(self, size: int = 224, source: str = 'boxes') -> None:
        if source not in SOURCES:
            raise ValueError(f"source must be one of {tuple(SOURCES)}, got '{source}'.")
        self.size = size
        self.source = source

    def transform(self, results: dict) -> dict:
        """Draws the map of one clip.

        Args:
            results (dict): with the required keys.

        Returns:
            dict: With the added key, if the clip is labeled.

        Raises:
            DataError: If a labeled clip lacks what is to be drawn.
        """
        if not results['is_labeled']:
            return results
        if results.get('is_sounding') is False:
            results['gt_map'] = torch.zeros(self.size, self.size)
            return results
        key = SOURCES[self.source]
        label = results.get(key)
        if label is None:
            raise DataError(
                f"'{results['sample_id']}' has no {key}, which "
                f"RasterizeTargets(source='{self.source}') draws. Add them to the "
                'annotation file or choose another source.'
            )
        if self.source == 'boxes':
            # not as float32: int(size * v) must truncate as the protocol does
            results['gt_map'] = rasterize_boxes(label, self.size)
        elif self.source == 'consensus':
            results['gt_map'] = rasterize_consensus(label, self.size)
        else:
            mask = decode_rle(label, f"mask of '{results['sample_id']}'")
            results['gt_map'] = _resize_mask(mask, self.size)
        return results

    def __repr__(self) -> str:
        """Writes the transform as it is built."""
        return f'{type(self).__name__}(size={self.size}, source={self.source!r})'


def _resize_mask(mask: np.ndarray, size: int) -> Tensor:
    """Resizes a binary mask by area.

    Args:
        mask (np.ndarray): uint8 of shape (H, W).
        size (int): side of the result.

    Returns:
        Tensor: float32 of shape (size, size) in {0, 1}.
    """
    cover = cv2.resize(
        mask.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA
    )
    # a cell that is covered by half must not depend on rounding
    return torch.from_numpy((cover >= 0.5 - 1e-6).astype(np.float32))
