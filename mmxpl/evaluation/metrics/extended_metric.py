"""AP, max-F1 and LocAcc of sets in which some sounds have no visible source."""

from collections.abc import Sequence

import torch

from mmxpl.registry import METRICS
from mmxpl.utils import DataError

from ..functional import (
    describe_rules,
    extended_ap,
    localization_accuracy,
    map_confidence,
    max_f1,
)
from .map_metric import MapMetric, Rows, check_rules, cious_of, column, read_gt_map


@METRICS.register_module()
class ExtendedMetric(MapMetric):
    """AP, max-F1 and LocAcc of extended sets (SLAVC, NeurIPS 2022).

    A sample whose ``gt_map`` is empty has no visible source. The confidence of a
    prediction is the mean of its map's highest quarter. Keys, per cent::

        <model>/AP   <model>/max-F1   <model>/LocAcc   ref/<name>/LocAcc

    The reference rows ``disc``, ``whole`` and ``oracle`` have no confidence, so
    they have LocAcc alone.

    Args:
        rule (str): Threshold rule of the masks, a key of
            :data:`mmxpl.evaluation.functional.RULES`; 'median' is SLAVC's.
        **kwargs: See :class:`mmxpl.evaluation.MapMetric`.
    """

    default_prefix = 'extended'

    def __init__(self, rule: str = 'median', **kwargs) -> None:
        super().__init__(**kwargs)
        check_rules([rule])
        self.rule = rule

    def measure(self, sample: dict) -> dict:
        """Computes CIoU and confidence of each model."""
        gt_map = read_gt_map(sample)
        maps = self.read_maps(sample)
        return dict(
            visible=bool(gt_map.any()),
            cious=cious_of(maps, gt_map, [self.rule]),
            confidences={
                name: float(map_confidence(one[None], len(gt_map)))
                for name, one in maps.items()
            },
        )

    def score(self, items: Sequence[dict]) -> tuple[Rows, list[str]]:
        """Scores all samples.

        Raises:
            DataError: If no sample has a visible source.
        """
        visible = torch.tensor([item['visible'] for item in items])
        if not visible.any():
            raise DataError(
                'ExtendedMetric got no sample with a visible source (every gt_map is '
                'empty): evaluate pairs with and without one together.'
            )
        rows = {}
        for row in items[0]['cious']:
            cious = column(items, 'cious', row)[:, 0]
            scores = {}
            if row in self.models:
                confidences = column(items, 'confidences', row)
                scores['AP'] = extended_ap(confidences, cious, visible)
                scores['max-F1'] = max_f1(confidences, cious, visible)
            scores['LocAcc'] = localization_accuracy(cious, visible)
            rows[row] = {name: 100 * float(value) for name, value in scores.items()}
        return rows, [
            f'masks: {describe_rules([self.rule])}; confidence: mean of the highest '
            'quarter of pixels',
            'AP and max-F1: CIoU >= 0.5 over all pairs; LocAcc: CIoU > 0.5 where a '
            'source is visible',
            f'pairs: {int(visible.sum())} with and {int((~visible).sum())} without a '
            'visible source',
        ]
