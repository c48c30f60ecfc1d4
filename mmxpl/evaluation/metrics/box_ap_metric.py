"""COCO's box AP of boxes read off the maps."""

from collections.abc import Sequence

from mmxpl.registry import METRICS
from mmxpl.utils.checks import check_positive

from ..functional import boxes_from_map, centred_disc, coco_ap, upsample_maps
from .map_metric import MapMetric, Rows, read_gt_boxes


@METRICS.register_module()
class BoxAPMetric(MapMetric):
    """COCO's box AP of the regions that a map marks, of one class, 'sounding'.

    Keys: ``<model>/bbox_mAP``, ``_mAP_50``, ``_mAP_75``, ``_mAP_s``, ``_mAP_m``
    and ``_mAP_l``, per cent, the figures of ``mmdet.CocoMetric``; -100 where there
    is no box of that size to be found, as COCO has -1. The row ``ref/disc`` is the
    box of a centred disc, the same everywhere.

    Args:
        box_cfg (dict, optional): Options of
            :func:`mmxpl.evaluation.functional.boxes_from_map`: ``threshold``,
            ``mode``, ``normalise``, ``min_area``, ``connectivity``.
        size (int): Side in pixels of the frame on which boxes are read and small,
            medium and large are told apart.
        **kwargs: See :class:`mmxpl.evaluation.MapMetric`.
    """

    default_prefix = 'coco'

    def __init__(self, box_cfg: dict | None = None, size: int = 224, **kwargs) -> None:
        super().__init__(**kwargs)
        check_positive(size=size)
        self.box_cfg = dict(box_cfg or {})
        boxes_from_map(centred_disc(8), **self.box_cfg)  # refuses wrong settings
        self.size = size

    def measure(self, sample: dict) -> dict:
        """Reads the boxes of each model and of the ground truth."""
        found = {}
        for name, one in self.read_maps(sample).items():
            full = upsample_maps(one[None], self.size)[0]
            found[name] = boxes_from_map(full, **self.box_cfg)
        return dict(found=found, gt=read_gt_boxes(sample))

    def score(self, items: Sequence[dict]) -> tuple[Rows, list[str]]:
        """Scores all samples."""
        # ties of scores are broken by the order, which must not be the list's
        items = sorted(items, key=lambda item: item['sample_id'])
        truth = [item['gt'] for item in items]
        disc = boxes_from_map(centred_disc(self.size), **self.box_cfg)
        rows, boxes = {}, []
        for name in (*self.models, 'ref/disc'):
            found = [item['found'].get(name, disc) for item in items]
            scores = coco_ap(found, truth, self.size)
            rows[name] = {f'bbox_{key}': 100 * value for key, value in scores.items()}
            boxes.append(f'{sum(len(b) for b, _ in found)} of {name}')
        options = ', '.join(f'{k}={v}' for k, v in self.box_cfg.items()) or 'default'
        return rows, [
            f'boxes from maps: {options}; frame {self.size}x{self.size}; score: '
            'highest probability in the region',
            f'boxes: {sum(map(len, truth))} in the ground truth, ' + ', '.join(boxes),
        ]
