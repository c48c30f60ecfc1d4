"""CIoU and AUC of one or several localizers with the reference rows."""

from collections.abc import Mapping, Sequence

import torch

from mmxpl.registry import METRICS
from mmxpl.utils import DataError

from ..functional import (
    ALL_RULES,
    RULES,
    GroundTruth,
    format_rules,
    format_table,
    size_groups,
    summarise_row,
)
from ..prior import ObjectPrior, load_prior
from .map_metric import MapMetric, Rows, check_rules, column, read_gt_map


@METRICS.register_module()
class CIoUMetric(MapMetric):
    """Consensus IoU under every threshold rule, in one pass over the maps.

    Each data sample brings ``sample_id``, ``gt_map`` (S, S) in [0, 1] and
    ``pred_map`` with a field (1, h, w) of probabilities for each model. The
    scores are in per cent::

        <row>/CIoU@<t>_<rule>   <row>/AUC_<rule>   n_evaluated   n_expected

    with the models and ``ref/disc``, ``ref/whole``, ``ref/oracle`` (and
    ``ref/prior``) as rows, and the rules of
    :data:`mmxpl.evaluation.functional.RULES`: ``median``, ``median_strict``,
    ``adaptive``, ``fixed``. A table with the protocol is logged as well. To keep
    the best checkpoint, write ``save_best='ens/CIoU@0.5_adaptive',
    rule='greater'`` in ``CheckpointHook``.

    Only a few numbers are kept of each sample, never its maps.

    Args:
        models (Sequence[str], optional): See :class:`mmxpl.evaluation.MapMetric`.
        prior (str, optional): .npy file with a map (S, S) of probabilities, such
            as :func:`mmxpl.evaluation.functional.mean_gt_map` of the training
            labels; adds the rows ``ref/prior``.
        object_prior (dict, optional): ``weights`` and ``alpha`` of
            :class:`mmxpl.evaluation.prior.ObjectPrior`, which is mixed into every
            model's maps; adds the rows ``<model>+ogl`` and, for the objects alone,
            ``ogl``.
        rules (Sequence[str]): Threshold rules, keys of
            :data:`mmxpl.evaluation.functional.ALL_RULES`.
        ciou_thresholds (Sequence[float]): The t of ``CIoU@t``; 0.5 is always among
            them for the table.
        group_by (Sequence[str]): Also scores groups: by ``'size'`` (SLAVC's small,
            medium, large, huge) or by meta information of the samples such as
            ``'category'``. Adds the keys ``<row>/<group>=<name>/CIoU@<t>_<rule>``
            with the number of samples as ``n/<group>=<name>``.
        **kwargs: See :class:`mmxpl.evaluation.MapMetric`.
    """

    default_prefix = ''
    takes_ciou = True

    def __init__(
        self,
        models: Sequence[str] | None = None,
        prior: str | None = None,
        object_prior: dict | None = None,
        rules: Sequence[str] = tuple(RULES),
        ciou_thresholds: Sequence[float] = (0.5,),
        group_by: Sequence[str] = (),
        **kwargs,
    ) -> None:
        super().__init__(models, **kwargs)
        check_rules(rules, tuple(ALL_RULES))
        self.rules = tuple(rules)
        self.ciou_thresholds = tuple(sorted({0.5, *ciou_thresholds}))
        self.group_by = tuple(group_by)
        self.prior = None if prior is None else load_prior(prior)
        self.object_prior = ObjectPrior(**object_prior) if object_prior else None

    @property
    def score_names(self) -> list[str]:
        """list[str]: names of the scores of a row."""
        zeros = torch.zeros(1, len(self.rules))
        return list(summarise_row(zeros, self.rules, self.ciou_thresholds))

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Scores a batch of samples, plain dictionaries.

        The frames of the batch are read if there is an ``object_prior``. A DataError
        says that a map is missing, not finite or not in [0, 1].
        """
        if self.object_prior is not None:
            if 'img' not in data_batch['inputs']:
                raise DataError(
                    'object_prior looks at frames, and the batch holds features: set '
                    'cache=None in LoadFeatures.'
                )
            images = torch.stack(list(data_batch['inputs']['img']))
            data_samples = [
                dict(sample, objects=objects)
                for sample, objects in zip(
                    data_samples, self.object_prior.objects(images), strict=True
                )
            ]
        super().process(data_batch, data_samples)

    def measure(self, sample: dict) -> dict:
        """Reads the maps and the groups of a sample."""
        gt_map = read_gt_map(sample)
        size = len(gt_map)
        if self.prior is not None and self.prior.shape != (size, size):
            raise DataError(
                f'The prior has the shape {tuple(self.prior.shape)}, the ground '
                f'truth {(size, size)}: make the prior at that size.'
            )
        maps = self.read_maps(sample)
        if self.object_prior is not None:
            maps |= self.object_prior.rows(maps, sample['objects'], size)
        facts = dict(sample)
        if 'size' in self.group_by:
            facts['size'] = size_groups(GroundTruth(gt_map[None]))[0]
        unknown = [key for key in self.group_by if key not in facts]
        if unknown:
            raise DataError(
                f'Sample {sample.get("sample_id")!r} has no {unknown[0]!r}, which '
                "group_by of CIoUMetric names: add it to PackAVInputs' meta_keys."
            )
        return dict(
            gt_map=gt_map,
            maps=maps,
            size=size,
            groups=[f'{key}={facts[key]}' for key in self.group_by],
        )

    def score(self, items: Sequence[dict]) -> tuple[Rows, list[str]]:
        """Scores all samples, and those of each group.

        A DataError says that ground truths differ in size.
        """
        size = items[0]['size']
        for item in items:
            if item['size'] != size:
                raise DataError(
                    f'gt_map of sample {item["sample_id"]!r} is {item["size"]} pixels '
                    f'wide, that of {items[0]["sample_id"]!r} {size}: draw all of '
                    'them at one size.'
                )
        groups = [item.get('groups', ()) for item in items]
        members = {
            group: [n for n, names in enumerate(groups) if group in names]
            for group in sorted(set().union(*groups))
        }
        rows = {}
        for row in items[0]['cious']:
            cious = column(items, 'cious', row)
            parts = {row: cious}
            parts |= {f'{row}/{group}': cious[of] for group, of in members.items()}
            for name, part in parts.items():
                rows[name] = summarise_row(part, self.rules, self.ciou_thresholds)
        if members:
            counts = {group: float(len(chosen)) for group, chosen in members.items()}
            rows['n'] = rows.get('n', {}) | counts
        card = [format_rules(size, self.rules)]
        if self.object_prior is not None:
            card.append(str(self.object_prior))
        return rows, card

    def format_rows(self, rows: Mapping[str, Mapping[str, float]]) -> str:
        """Formats CIoU@0.5 and AUC of all samples under each rule.

        The ensemble of one localizer, which is that localizer, is left out.
        """
        key = f'AUC_{self.rules[0]}'
        names = [row for row in rows if key in rows[row] and '=' not in row]
        localizers = [name for name in self.models or () if name != 'ens']
        if len(localizers) == 1:
            names = [
                row
                for row in names
                if row.split('+')[0] != 'ens'
                or rows[row] != rows.get(row.replace('ens', localizers[0], 1))
            ]
        return format_table({name: rows[name] for name in names}, self.rules)
