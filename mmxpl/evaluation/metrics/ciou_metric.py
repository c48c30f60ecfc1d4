"""CIoU of one or several localizers, beside what knows nothing and everything."""

from collections.abc import Sequence

import torch
from mmengine.logging import print_log
from torch import Tensor

from mmxpl.registry import METRICS
from mmxpl.utils import DataError, hash_ids

from ..functional import (
    ALL_RULES,
    RULES,
    GroundTruth,
    evaluate_maps,
    format_card,
    format_table,
    size_groups,
    summarise,
)
from ..object_prior import ObjectPrior
from ..prior import load_prior
from .batch import stack_ground_truth, stack_predictions
from .listed_metric import ListedMetric


@METRICS.register_module()
class CIoUMetric(ListedMetric):
    """Consensus IoU under every threshold rule, in one pass over the maps.

    Each data sample brings ``sample_id``, ``gt_map`` (S, S) in [0, 1] and
    ``pred_map`` with a field (1, h, w) of probabilities for each model. The
    scores are in per cent::

        <row>/CIoU@<t>_<rule>   <row>/AUC_<rule>   n_evaluated   n_expected

    with the models and ``ref/disc``, ``ref/whole``, ``ref/oracle`` (and
    ``ref/prior``) as rows, and the rules of
    :data:`mmxpl.evaluation.functional.RULES`: ``median``, ``median_strict``,
    ``adaptive``, ``fixed``. A table with the protocol is logged besides. To keep
    the best checkpoint, write ``save_best='ens/CIoU@0.5_adaptive',
    rule='greater'`` in ``CheckpointHook``.

    A few numbers are kept of each sample, never its maps. That is why the mean of
    the evaluated ground truth is no row by default: scoring it takes a second
    pass over ground truth that is gone by then. It would also be fitted to the
    test. A prior from the *training* labels is known beforehand and can be given.

    Args:
        models (Sequence[str]): Fields of ``pred_map`` to score. Defaults to
            ``('a', 'b', 'ens')``.
        prior (str, optional): .npy file with a map (S, S) of probabilities, such
            as :func:`mmxpl.evaluation.functional.mean_gt_map` of the training
            labels; adds the rows ``ref/prior``. Defaults to None.
        object_prior (dict, optional): ``weights`` and ``alpha`` of
            :class:`mmxpl.evaluation.object_prior.ObjectPrior`, which is mixed into
            every model's maps; adds the rows ``<model>+ogl`` and, for the objects
            alone, ``ogl``. Defaults to None.
        rules (Sequence[str]): Threshold rules out of
            :data:`mmxpl.evaluation.functional.ALL_RULES`. Defaults to the four of
            ``RULES``.
        ciou_thresholds (Sequence[float]): The t of ``CIoU@t``; 0.5 stays among
            them for the table. Defaults to ``(0.5,)``.
        group_by (Sequence[str]): Scores of groups besides: ``'size'`` (SLAVC's
            small, medium, large, huge) or meta information of the samples such as
            ``'category'``. Adds the keys ``<row>/<group>=<name>/CIoU@<t>_<rule>``
            with the number of samples as ``n/<group>=<name>``. Defaults to none.
        n_expected (int, optional): How many samples the protocol's list has. By
            default ``n_expected`` of the data set's meta information, else the
            length of the data set.
        collect_device (str): See ``BaseMetric``. Defaults to 'cpu'.
        prefix (str, optional): Put before all keys. Defaults to None: the keys
            already name the model.
        collect_dir (str, optional): See ``BaseMetric``. Defaults to None.
    """

    default_prefix = ''

    def __init__(
        self,
        models: Sequence[str] = ('a', 'b', 'ens'),
        prior: str | None = None,
        object_prior: dict | None = None,
        rules: Sequence[str] = tuple(RULES),
        ciou_thresholds: Sequence[float] = (0.5,),
        group_by: Sequence[str] = (),
        n_expected: int | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(models, n_expected, collect_device, prefix, collect_dir)
        unknown = sorted(set(rules) - set(ALL_RULES))
        if unknown or not rules:
            raise ValueError(
                f'CIoUMetric: rules must be some of {list(ALL_RULES)}, got '
                f'{list(rules)}.'
            )
        self.rules = tuple(rules)
        self.ciou_thresholds = tuple(sorted({0.5, *ciou_thresholds}))
        self.group_by = tuple(group_by)
        self.prior = None if prior is None else load_prior(prior)
        self.object_prior = ObjectPrior(**object_prior) if object_prior else None

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Score a batch; one item of ``results`` for each sample.

        Args:
            data_batch (object): The batch as loaded; its frames are read if there
                is an ``object_prior``.
            data_samples (Sequence[dict]): The samples as plain dictionaries.

        Raises:
            DataError: If a map is missing, not finite, not in [0, 1], or of
                another shape than its neighbours.
        """
        gt_maps = stack_ground_truth(data_samples)
        maps = {model: stack_predictions(data_samples, model) for model in self.models}
        if self.prior is not None and self.prior.shape != gt_maps.shape[1:]:
            raise DataError(
                f'The prior has the shape {tuple(self.prior.shape)}, the ground '
                f'truth {tuple(gt_maps.shape[1:])}: make the prior at that size.'
            )
        if self.object_prior is not None:
            if 'img' not in data_batch['inputs']:
                raise DataError(
                    'object_prior looks at frames, and the batch holds features: set '
                    'cache=None in LoadFeatures.'
                )
            images = torch.stack(list(data_batch['inputs']['img']))
            maps |= self.object_prior.rows(maps, images, gt_maps.shape[-1])
        rows = evaluate_maps(maps, gt_maps, self.rules, prior=self.prior)
        groups = self._groups_of(data_samples, gt_maps)
        for i, sample in enumerate(data_samples):
            cious = {row: values[i].tolist() for row, values in rows.items()}
            size = gt_maps.shape[-1]
            self.results.append(
                dict(
                    sample_id=sample['sample_id'],
                    cious=cious,
                    size=size,
                    groups=groups[i],
                )
            )

    def _groups_of(
        self, data_samples: Sequence[dict], gt_maps: Tensor
    ) -> list[list[str]]:
        """Names of the groups that each sample is in."""
        names = [[] for _ in data_samples]
        for key in self.group_by:
            if key == 'size':
                values = size_groups(GroundTruth(gt_maps))
            else:
                values = [_meta(sample, key) for sample in data_samples]
            for groups, value in zip(names, values, strict=True):
                groups.append(f'{key}={value}')
        return names

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Scores of all samples, also logged as a table.

        Args:
            results (list[dict]): Items made by :meth:`process`.

        Returns:
            dict[str, float]: See the class.

        Raises:
            DataError: If there is nothing to score or a sample came twice.
        """
        ids, n_expected = self.account(results)
        rows = list(results[0]['cious'])
        cious = {
            row: torch.tensor(
                [item['cious'][row] for item in results], dtype=torch.float64
            )
            for row in rows
        }
        scores = summarise(cious, self.rules, self.ciou_thresholds)
        size = results[0]['size']
        card = format_card(
            size,
            len(ids),
            n_expected,
            hash_ids(ids),
            self.rules,
            list_name=self.list_name,
        )
        if self.object_prior is not None:
            card = f'{card}\n{self.object_prior}'
        table = format_table(scores, rows, self.rules)
        print_log(f'\n{table}\n{card}', logger='current')
        groups = [item.get('groups', ()) for item in results]
        for group in sorted(set().union(*groups)):
            chosen = [n for n, names in enumerate(groups) if group in names]
            part = {f'{row}/{group}': values[chosen] for row, values in cious.items()}
            scores |= summarise(part, self.rules, self.ciou_thresholds)
            scores[f'n/{group}'] = float(len(chosen))
        # floats: MMEngine's logger writes null for integers
        counts = dict(n_evaluated=float(len(ids)), n_expected=float(n_expected))
        return scores | counts


def _meta(sample: dict, key: str) -> object:
    """Meta information of a sample that it is grouped by."""
    if key not in sample:
        raise DataError(
            f'Sample {sample.get("sample_id")!r} has no {key!r}, which group_by of '
            "CIoUMetric names: add it to PackAVInputs' meta_keys."
        )
    return sample[key]
