"""Drawing of ground-truth maps."""

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from torch import Tensor

from mmxpl.registry import TRANSFORMS
from mmxpl.structures import rasterize_boxes, rasterize_consensus
from mmxpl.utils import DataError

from ..annotations import decode_rle

# keys that hold what is drawn
SOURCES = {'boxes': 'bboxes', 'mask': 'mask', 'consensus': 'annotators'}


@TRANSFORMS.register_module()
class RasterizeTargets(BaseTransform):
    """Draws the ground truth of a labeled clip as a map.

    Boxes give their union, as in the evaluation of VGG-SS. A mask is resized by area
    and set where at least half of a cell is covered. The consensus of several
    annotators is that of Flickr-SoundNet
    (:func:`mmxpl.structures.rasterize_consensus`). The map of a clip that does not
    sound is empty. Unlabeled clips pass unchanged.

    Required keys: ``is_labeled``, ``sample_id``, and ``bboxes``, ``mask`` or
    ``annotators``. Optional key: ``is_sounding``. Added key: ``gt_map``, a float32
    tensor of shape (size, size) in {0, 1}, or in {0, 0.5, 1} for a consensus.

    Args:
        size (int): Side of the map; the default is that of the protocols.
        source (str): 'boxes', 'mask' or 'consensus'.
    """

    def __init__(self, size: int = 224, source: str = 'boxes') -> None:
        if source not in SOURCES:
            raise ValueError(f"source must be one of {tuple(SOURCES)}, got '{source}'.")
        self.size = size
        self.source = source

    def transform(self, results: dict) -> dict:
        """Draws the map of a clip.

        Args:
            results (dict): Entry with the required keys.

        Returns:
            dict: ``results``, with the added key if the clip is labeled.

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
            # in float64: int(size * v) must truncate as in the protocol
            results['gt_map'] = rasterize_boxes(label, self.size)
        elif self.source == 'consensus':
            results['gt_map'] = rasterize_consensus(label, self.size)
        else:
            mask = decode_rle(label, f"mask of '{results['sample_id']}'")
            results['gt_map'] = _resize_mask(mask, self.size)
        return results

    def __repr__(self) -> str:
        """Formats the transform as it is built."""
        return f'{type(self).__name__}(size={self.size}, source={self.source!r})'


def _resize_mask(mask: np.ndarray, size: int) -> Tensor:
    """Resizes a binary uint8 mask by area to float32 (size, size) in {0, 1}."""
    cover = cv2.resize(
        mask.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA
    )
    # half-covered cells must not depend on rounding
    return torch.from_numpy((cover >= 0.5 - 1e-6).astype(np.float32))
