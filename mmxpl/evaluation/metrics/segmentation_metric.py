"""mIoU, F-score and pixel AP of maps against masks."""

from collections.abc import Sequence

import numpy as np
import torch

from mmxpl.registry import METRICS
from mmxpl.utils import DataError
from mmxpl.utils.checks import check_fraction

from ..functional import centred_disc, f_scores, mask_iou, pixel_ap, upsample_maps
from .map_metric import MapMetric, Rows, read_gt_map


@METRICS.register_module()
class SegmentationMetric(MapMetric):
    """mIoU, F-score and pixel AP where there are masks (AVSBench's measures).

    ``gt_map`` must hold a mask, 0 and 1: ``RasterizeTargets(source='mask')``. Keys,
    per cent, for models and the rows ``ref/disc`` and ``ref/whole``::

        <row>/mIoU   <row>/F-score   <row>/pixel_AP   <row>/F-score_video

    F-score (beta squared 0.3, the best of 255 thresholds) and pixel AP leave out
    images whose mask is empty; the card says how many. mIoU gives these the
    share of the frame that stays empty, as AVSBench does.

    F-score has one threshold for the whole set. AVSBench's test script takes the best
    threshold of each video, and 0 for a video whose masks are all empty (test.py of
    OpenNLPLab/AVSBench, with its batch of one video); that is ``F-score_video``, where
    the samples have a ``video_id``.

    Args:
        threshold (float): A pixel of a map that exceeds it belongs to the mask of mIoU.
        **kwargs: See :class:`mmxpl.evaluation.MapMetric`.
    """

    default_prefix = 'segmentation'

    def __init__(self, threshold: float = 0.5, **kwargs) -> None:
        super().__init__(**kwargs)
        check_fraction(threshold=threshold)
        self.threshold = threshold

    def measure(self, sample: dict) -> dict:
        """Computes IoU, AP and F-scores of each row."""
        gt_map = read_gt_map(sample)
        target = gt_map > 0
        if not torch.equal(target.float(), gt_map):
            raise DataError(
                f'gt_map of sample {sample.get("sample_id")!r} is no mask of 0 and 1: '
                "use RasterizeTargets(source='mask'), and CIoUMetric for consensus "
                'maps.'
            )
        size = len(gt_map)
        maps = self.read_maps(sample)
        maps['ref/disc'] = centred_disc(size)
        maps['ref/whole'] = torch.ones(size, size)
        full = torch.cat([upsample_maps(m[None], size) for m in maps.values()])
        targets = target.expand(len(full), -1, -1)
        ious = mask_iou(full > self.threshold, targets).tolist()
        item = dict(empty=not target.any(), ious=dict(zip(maps, ious, strict=True)))
        item['video'] = sample.get('video_id')
        if not item['empty']:
            aps = pixel_ap(full, targets).tolist()
            item['aps'] = dict(zip(maps, aps, strict=True))
            curves = f_scores(full, targets).numpy()
            item['curves'] = dict(zip(maps, curves, strict=True))
        return item

    def score(self, items: Sequence[dict]) -> tuple[Rows, list[str]]:
        """Scores all samples; a DataError says that every mask is empty."""
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
            if all(item['video'] is not None for item in items):
                rows[row]['F-score_video'] = 100 * _best_by_video(items, row)
        return rows, [
            f'mIoU: probability > {self.threshold:g}; F-score: beta^2 0.3, best of 255 '
            'thresholds on the mean curve',
            f'masks: {len(filled)} filled, {len(items) - len(filled)} empty (left out '
            'of F-score and AP)',
        ]


def _best_by_video(items: Sequence[dict], row: str) -> float:
    """Mean over videos of the best F-score on the mean curve of a video's frames."""
    curves = {item['video']: [] for item in items}
    for item in items:
        if not item['empty']:
            curves[item['video']].append(item['curves'][row])
    best = [np.mean(own, axis=0).max() if own else 0.0 for own in curves.values()]
    return float(np.mean(best))
