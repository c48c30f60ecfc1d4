"""mIoU, F-score and pixel AP of maps against masks."""

from collections.abc import Sequence

import numpy as np
import torch

from mmxpl.registry import METRICS
from mmxpl.utils import DataError

from ..functional import centred_disc, f_scores, mask_iou, pixel_ap, upsample_maps
from .map_metric import MapMetric, read_gt_map, read_pred_map


@METRICS.register_module()
class SegmentationMetric(MapMetric):
    """mIoU, F-score and pixel AP where there are masks (AVSBench's measures).

    ``gt_map`` must hold a mask, 0 and 1: ``RasterizeTargets(source='mask')``. Keys,
    per cent, for models and the rows ``ref/disc`` and ``ref/whole``::

        <row>/mIoU   <row>/F-score   <row>/pixel_AP

    F-score (beta squared 0.3, the best of 255 thresholds) and pixel AP leave out
    images whose mask is empty; the card says how many. mIoU gives these the
    share of the frame that stays empty, as AVSBench does.

    Args:
        threshold (float): A pixel of a map that exceeds it belongs to the mask of mIoU.
        **kwargs: See :class:`MapMetric`.
    """

    default_prefix = 'segmentation'

    def __init__(self, threshold: float = 0.5, **kwargs) -> None:
        super().__init__(**kwargs)
        self.threshold = threshold

    def measure(self, sample: dict) -> dict:
        """Computes IoU, AP and the F-scores of each row."""
        gt_map = read_gt_map(sample)
        target = gt_map > 0
        if not torch.equal(target.float(), gt_map):
            raise DataError(
                f'gt_map of sample {sample.get("sample_id")!r} is no mask of 0 and 1: '
                "use RasterizeTargets(source='mask'), and CIoUMetric for consensus "
                'maps.'
            )
        size = len(gt_map)
        maps = {
            name: read_pred_map(sample, name) for name in self.scored_models(sample)
        }
        maps['ref/disc'] = centred_disc(size)
        maps['ref/whole'] = torch.ones(size, size)
        full = torch.cat([upsample_maps(m[None], size) for m in maps.values()])
        targets = target.expand(len(full), -1, -1)
        ious = mask_iou(full > self.threshold, targets).tolist()
        item = dict(empty=not target.any(), ious=dict(zip(maps, ious, strict=True)))
        if not item['empty']:
            aps = pixel_ap(full, targets).tolist()
            item['aps'] = dict(zip(maps, aps, strict=True))
            curves = f_scores(full, targets).numpy()
            item['curves'] = dict(zip(maps, curves, strict=True))
        return item

    def score(
        self, items: Sequence[dict]
    ) -> tuple[dict[str, dict[str, float]], list[str]]:
        """Scores all samples.

        Raises:
            DataError: If every mask is empty.
        """
        filled = [item for item in items if not item['empty']]
        if not filled:
            raise DataError(
                f'SegmentationMetric: the masks of all {len(items)} samples are empty, '
                'so neither F-score nor AP is defined. Check the annotation.'
            )
        rows = {}
        for row in items[0]['ious']:
            curve = np.mean([item['curves'][row] for item in filled], axis=0)
            rows[row] = {
                'mIoU': 100 * float(np.mean([item['ious'][row] for item in items])),
                'F-score': 100 * float(curve.max()),
                'pixel_AP': 100 * float(np.mean([item['aps'][row] for item in filled])),
            }
        return rows, [
            f'mIoU: probability > {self.threshold:g}; F-score: beta^2 0.3, best of 255 '
            'thresholds on the mean curve',
            f'masks: {len(filled)} filled, {len(items) - len(filled)} empty (left out '
            'of F-score and AP)',
        ]
