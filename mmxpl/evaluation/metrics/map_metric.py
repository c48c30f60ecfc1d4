"""Base of the metrics, and the checks of data samples that they share."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby

import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from torch import Tensor

from mmxpl.utils import DataError, hash_ids
from mmxpl.utils.checks import check_positive

from ..functional import RULES, evaluate_maps, format_counts

Rows = dict[str, dict[str, float]]
"""Scores by row and name, in per cent."""


class MapMetric(BaseMetric):
    """Scores localization maps, one item of ``results`` for each sample.

    A subclass implements :meth:`measure`, what it keeps of a sample, and
    :meth:`score`, what all samples together give. This class refuses samples that
    came twice, so that the result depends neither on the batch size nor on the
    number of processes, and logs a table with a protocol card. Keys are
    ``<prefix>/<row>/<score>``, values per cent, with ``n_evaluated`` and
    ``n_expected``. If a subclass sets ``takes_ciou``, ``gt_map`` and ``maps`` of
    what it measures are replaced by their CIoU under its ``rules``, see
    :func:`add_cious`.

    Args:
        models (Sequence[str], optional): Fields of ``pred_map`` to score; by default
            all that the first sample has, such as ``('a', 'b', 'ens')``.
        n_expected (int, optional): Number of samples of the protocol's list. By
            default ``n_expected`` of the data set's meta information, else the
            length of the data set.
        **kwargs: See ``BaseMetric``; ``prefix``, put before all keys, is by default the
            name of the protocol, ``default_prefix``.
    """

    takes_ciou: bool = False
    prior: Tensor | None = None

    def __init__(
        self,
        models: Sequence[str] | None = None,
        n_expected: int | None = None,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if self.collect_device not in ('cpu', 'gpu', 'npu'):
            raise ValueError(f"collect_device is 'cpu', got '{self.collect_device}'.")
        self.models = None if models is None else tuple(models)
        if n_expected is not None:
            check_positive(n_expected=n_expected)
        self.n_expected = n_expected
        self._dataset_size: int | None = None

    def scored_models(self, sample: dict) -> tuple[str, ...]:
        """Names the fields of ``pred_map`` that are scored.

        Where ``models`` were not named, all of the first sample, a plain dictionary,
        are scored from there on. A DataError says that there is no prediction.
        """
        if self.models is None:
            predicted = sample.get('pred_map') or {}
            if not predicted:
                raise DataError(
                    f'Sample {sample.get("sample_id")!r} has no pred_map: the model '
                    'must predict one to be scored.'
                )
            # the fields of a data sample have no order; the ensemble comes last
            self.models = tuple(
                sorted(predicted, key=lambda name: (name == 'ens', name))
            )
        return self.models

    def read_maps(self, sample: dict) -> dict[str, Tensor]:
        """Reads the (h, w) map of each scored model, see :func:`read_pred_map`."""
        return {
            name: read_pred_map(sample, name) for name in self.scored_models(sample)
        }

    @abstractmethod
    def measure(self, sample: dict) -> dict:
        """Takes from a sample, a plain dictionary, the little that its scores need."""

    @abstractmethod
    def score(self, items: Sequence[dict]) -> tuple[Rows, list[str]]:
        """Scores all samples.

        Args:
            items (Sequence[dict]): From :meth:`measure`, with ``sample_id``, in the
                order of the data set.

        Returns:
            tuple[dict, list[str]]: For each row its scores by name; and lines for the
            protocol card.
        """

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Measures a batch of samples, plain dictionaries.

        Raises a DataError if a sample lacks a field or holds a bad value.
        """
        items = [dict(self.measure(s), sample_id=s['sample_id']) for s in data_samples]
        if self.takes_ciou:
            add_cious(items, self.rules, self.prior)
        self.results += items

    def evaluate(self, size: int) -> dict[str, float]:
        """Gathers the results of all processes and scores ``size`` samples."""
        self._dataset_size = size
        return super().evaluate(size)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Scores all samples and logs a table; for the scores see the class.

        Raises a DataError if there is nothing to score or a sample came twice.
        """
        name = type(self).__name__
        if not results:
            raise DataError(
                f'{name} has no sample to score: check that the evaluated list and '
                'the data on disk have ids in common.'
            )
        ids = [item['sample_id'] for item in results]
        check_unique(ids)
        meta = self.dataset_meta or {}
        counts = (self.n_expected, meta.get('n_expected'), self._dataset_size, len(ids))
        n_expected = next(count for count in counts if count is not None)
        list_name = None
        if 'id_list_name' in meta:
            unknown = 'no published test list, or a part of one'
            list_name = meta['id_list_name'] or unknown
        rows, card = self.score(results)
        card = [*card, format_counts(len(ids), n_expected, hash_ids(ids), list_name)]
        lines = [f'\n{name}', self.format_rows(rows), *card]
        MMLogger.get_current_instance().info('\n'.join(lines))
        scores = {f'{row}/{key}': v for row, s in rows.items() for key, v in s.items()}
        # floats: MMEngine's logger writes null for integers
        counts = dict(n_evaluated=float(len(ids)), n_expected=float(n_expected))
        return scores | counts

    def format_rows(self, rows: Mapping[str, Mapping[str, float]]) -> str:
        """Formats the table that is logged; a score that a row lacks is left blank."""
        names = list(dict.fromkeys(name for scores in rows.values() for name in scores))
        first = max(map(len, rows)) + 2
        widths = {name: max(len(name), 7) + 2 for name in names}
        lines = [' ' * first + ''.join(f'{n:>{w}}' for n, w in widths.items())]
        for row, scores in rows.items():
            cells = (
                f'{scores[name]:>{width}.2f}' if name in scores else ' ' * width
                for name, width in widths.items()
            )
            lines.append(f'{row:<{first}}{"".join(cells)}'.rstrip())
        return '\n'.join(lines)


def column(items: Sequence[dict], field: str, row: str) -> Tensor:
    """Collects one entry of every item, (N, ...) float64."""
    return torch.tensor([item[field][row] for item in items], dtype=torch.float64)


def add_cious(
    items: Sequence[dict], rules: Sequence[str], prior: Tensor | None
) -> None:
    """Computes CIoU of samples under R rules, for models and references.

    Of each item ``gt_map`` (S, S) and ``maps``, (h, w) by model, are replaced by
    ``cious``, R values by row. ``prior`` (S, S) is one more reference.
    """
    # neighbours of one shape together, which threshold the references once
    for _, run in groupby(items, _shapes):
        alike = list(run)
        gt_maps = torch.stack([item.pop('gt_map') for item in alike])
        found = [item.pop('maps') for item in alike]
        maps = {name: torch.stack([m[name] for m in found]) for name in found[0]}
        rows = evaluate_maps(maps, gt_maps, rules, prior)
        for i, item in enumerate(alike):
            item['cious'] = {row: values[i].tolist() for row, values in rows.items()}


def _shapes(item: dict) -> list[torch.Size]:
    return [one.shape for one in (item['gt_map'], *item['maps'].values())]


def check_rules(rules: Sequence[str], known: Collection[str] = tuple(RULES)) -> None:
    """Raises a ValueError of unknown names of threshold rules, or of none."""
    if not rules or not set(rules) <= set(known):
        raise ValueError(f'rules must be out of {tuple(known)}, got {tuple(rules)}.')


def read_gt_map(sample: dict) -> Tensor:
    """Reads the ground-truth map of a sample, (S, S) float32 in [0, 1].

    Raises a DataError if it is missing, not square or not in [0, 1].
    """
    gt_map = sample.get('gt_map')
    if gt_map is None or gt_map.ndim != 2 or gt_map.shape[0] != gt_map.shape[1]:
        found = 'none' if gt_map is None else f'the shape {tuple(gt_map.shape)}'
        raise DataError(
            f'Sample {sample.get("sample_id")!r} has no square gt_map but {found}: put '
            'RasterizeTargets into the pipeline and evaluate on annotated samples.'
        )
    return _check_range(gt_map, sample, 'gt_map')


def read_pred_maps(sample: dict, model: str) -> Tensor:
    """Reads the predicted maps of one model, (P, h, w) float32 in [0, 1], P > 0.

    Raises a DataError if there is none, or if it is of another shape or not in [0, 1].
    """
    predicted = sample.get('pred_map') or {}
    if model not in predicted:
        raise DataError(
            f'Sample {sample.get("sample_id")!r} has no pred_map.{model} but '
            f'{sorted(predicted)}: set `models` of the metric to what the learner '
            'predicts.'
        )
    maps = predicted[model]
    if maps.ndim != 3 or not maps.numel():
        raise DataError(
            f'pred_map.{model} of sample {sample.get("sample_id")!r} has the shape '
            f'{tuple(maps.shape)}: it must be (P, h, w), one map or more.'
        )
    return _check_range(maps.detach(), sample, f'pred_map.{model}')


def read_pred_map(sample: dict, model: str) -> Tensor:
    """Reads the only predicted map of one model, (h, w), see :func:`read_pred_maps`.

    Raises a DataError also if there are several.
    """
    maps = read_pred_maps(sample, model)
    if len(maps) != 1:
        raise DataError(
            f'pred_map.{model} of sample {sample.get("sample_id")!r} has the shape '
            f'{tuple(maps.shape)}: it must be (1, h, w); several maps of a sample are '
            'scored by MultiSourceMetric.'
        )
    return maps[0]


def read_gt_boxes(sample: dict) -> Tensor:
    """Reads the boxes of a sample, (K, 4) x1 y1 x2 y2 normalised; K may be 0.

    Raises a DataError if there is no such field or a value is not finite.
    """
    instances = sample.get('gt_instances')
    boxes = None if instances is None else instances.get('bboxes')
    if boxes is None or boxes.ndim != 2 or boxes.shape[1] != 4:
        found = 'none' if boxes is None else f'the shape {tuple(boxes.shape)}'
        raise DataError(
            f'Sample {sample.get("sample_id")!r} has no gt_instances.bboxes (K, 4) but '
            f'{found}: evaluate on clips whose annotation has boxes.'
        )
    if not boxes.isfinite().all():
        raise DataError(
            f'gt_instances.bboxes of sample {sample.get("sample_id")!r} are not '
            f'finite: {boxes.tolist()}. Correct the annotation.'
        )
    return boxes.detach().cpu().float()


def check_unique(ids: Sequence[str]) -> None:
    """Raises a DataError of the ids that were scored more than once."""
    twice = sorted(i for i, count in Counter(ids).items() if count > 1)
    if twice:
        shown = ', '.join(map(str, twice[:10])) + (' ...' if len(twice) > 10 else '')
        raise DataError(
            f'{len(twice)} sample ids were evaluated more than once: {shown}. Remove '
            'the duplicates from the list, or use DefaultSampler for evaluation.'
        )


def _check_range(maps: Tensor, sample: dict, field: str) -> Tensor:
    maps = maps.cpu().float()
    low, high = maps.aminmax()
    # a comparison with NaN is false, so NaN is caught as well
    if not (low >= 0 and high <= 1):
        num_bad = int((~maps.isfinite()).sum())
        raise DataError(
            f'{field} of sample {sample.get("sample_id")!r} is not in [0, 1]: its '
            f'values go from {float(low):g} to {float(high):g}, {num_bad} are not '
            'finite. If there are such, look for the cause in training; else turn the '
            'values into probabilities.'
        )
    return maps
