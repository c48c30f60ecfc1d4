"""Interactive IoU: several sounds of one image, scored together."""

from collections import Counter
from collections.abc import Sequence

from mmxpl.registry import METRICS
from mmxpl.utils import DataError

from ..functional import (
    auc,
    describe_rules,
    success_rate,
    worst_of_group,
)
from .map_metric import MapMetric, Rows, check_rules, cious_of, column, read_gt_map


@METRICS.register_module()
class InteractiveMetric(MapMetric):
    """IIoU and IAUC (Senocak et al., ICCV 2023).

    A sample is one image with one of its sounds and that sound's ground truth;
    samples of one image belong together. An image counts only if every one of
    its sounds is localized. Keys, per cent, for models and reference rows::

        <row>/IIoU_<rule>   <row>/IAUC_<rule>

    Args:
        rules (Sequence[str]): Keys of
            :data:`mmxpl.evaluation.functional.RULES`; the default is SSLalignment's.
        group_by (str): Meta information that is equal for the samples of one image.
        **kwargs: See :class:`mmxpl.evaluation.MapMetric`.
    """

    default_prefix = 'interactive'

    def __init__(
        self,
        rules: Sequence[str] = ('median_strict', 'adaptive'),
        group_by: str = 'img_path',
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        check_rules(rules)
        self.rules = tuple(rules)
        self.group_by = group_by

    def measure(self, sample: dict) -> dict:
        """Computes CIoU under each rule."""
        if sample.get(self.group_by) is None:
            raise DataError(
                f'Sample {sample.get("sample_id")!r} has no {self.group_by!r}, which '
                'tells what image it belongs to: set `group_by` of InteractiveMetric '
                'to one of the meta keys of PackAVInputs.'
            )
        gt_map = read_gt_map(sample)
        return dict(
            group=str(sample[self.group_by]),
            cious=cious_of(self.read_maps(sample), gt_map, self.rules),
        )

    def score(self, items: Sequence[dict]) -> tuple[Rows, list[str]]:
        """Scores all samples.

        Raises:
            DataError: If no image has two sounds.
        """
        groups = [item['group'] for item in items]
        sizes = Counter(Counter(groups).values())
        if set(sizes) == {1}:
            raise DataError(
                f'InteractiveMetric: none of {len(items)} images has more than one '
                f'sound. Samples of one image must have the same {self.group_by!r}.'
            )
        rows = {}
        for row in items[0]['cious']:
            worst = worst_of_group(column(items, 'cious', row), groups)
            rows[row] = {
                f'{name}_{rule}': 100 * float(value)
                for name, values in (
                    ('IIoU', success_rate(worst.T)),
                    ('IAUC', auc(worst.T)),
                )
                for rule, value in zip(self.rules, values, strict=True)
            }
        return rows, [
            f'masks: {describe_rules(self.rules)}; IIoU: the worst CIoU of an image '
            '>= 0.5; IAUC over 0, 0.05 ... 1',
            'images: '
            + ', '.join(f'{n} of {k} sounds' for k, n in sorted(sizes.items())),
        ]
