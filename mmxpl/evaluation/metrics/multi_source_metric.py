"""Metrics of several sources in one frame, and of several sounds of one image."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch

from mmxpl.registry import METRICS
from mmxpl.utils import DataError
from mmxpl.utils.checks import check_fraction, check_positive

from ..functional import (
    ASSIGNMENTS,
    GroundTruth,
    assigned_scores,
    auc,
    describe_rules,
    pairwise_ap,
    pairwise_ciou,
    rasterize_boxes,
    reference_cious,
    success_rate,
    summarise_row,
    worst_of_group,
)
from .map_metric import (
    MapMetric,
    Rows,
    check_rules,
    column,
    read_gt_boxes,
    read_gt_map,
    read_pred_maps,
)

AP_NAMES = {'class': ('CAP', 'PIAP'), 'permutation': ('PIAP',), 'shared': ('AP',)}


@METRICS.register_module()
class MultiSourceMetric(MapMetric):
    """CAP, PIAP and CIoU@0.3 of frames with several sources.

    Every box of ``gt_instances`` is one source, unless its ``source_ids`` (K,) tell
    which boxes belong together; sources are in the order of these numbers.
    ``pred_map.<model>`` is (P, h, w).
    Keys, per cent::

        <model>/CAP     assignment='class': map k is the prediction for source k
        <model>/PIAP    'class' or 'permutation': the best one-to-one assignment
        <model>/AP      'shared': one map scored against every source
        <row>/CIoU@0.3_<rule>         share of sources that reach it
        <row>/image-CIoU@0.3_<rule>   share of images whose mean over sources does
        <row>/AUC_<rule>              over sources

    CIoU follows ``assignment``; with 'permutation' it is the one that makes the
    sum of CIoU largest. Sources without a map count 0. Rows are the models and
    the references of CIoU, scored on each source alone.

    Args:
        assignment (str): One of :data:`mmxpl.evaluation.functional.ASSIGNMENTS`.
        rule (str): Threshold rule of the masks, a key of
            :data:`mmxpl.evaluation.functional.RULES`; 'median_strict' is NoPrior's.
        ciou_threshold (float): CIoU from which a source is localized, in [0, 1].
        size (int): Side in pixels at which boxes and maps are compared.
        **kwargs: See :class:`mmxpl.evaluation.MapMetric`.
    """

    default_prefix = 'multi_source'

    def __init__(
        self,
        assignment: str = 'permutation',
        rule: str = 'median_strict',
        ciou_threshold: float = 0.3,
        size: int = 224,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if assignment not in ASSIGNMENTS:
            raise ValueError(
                f'assignment must be one of {ASSIGNMENTS}, got {assignment!r}.'
            )
        check_rules([rule])
        check_positive(size=size)
        check_fraction(ciou_threshold=ciou_threshold)
        self.assignment = assignment
        self.rule = rule
        self.ciou_threshold = ciou_threshold
        self.size = size

    def measure(self, sample: dict) -> dict:
        """Computes AP and CIoU of every source."""
        # an edge that single precision rounded down would lose a pixel
        boxes = read_gt_boxes(sample).double() + 1e-7
        ids = sample['gt_instances'].get('source_ids', torch.arange(len(boxes))).cpu()
        gt_maps = [
            rasterize_boxes(boxes[ids == source], self.size) for source in ids.unique()
        ]
        if not gt_maps or not all(gt_map.any() for gt_map in gt_maps):
            raise DataError(
                f'Sample {sample.get("sample_id")!r} has {len(gt_maps)} sources, one '
                f'at least of which covers no pixel of {self.size}x{self.size}: leave '
                'clips without a visible source to ExtendedMetric.'
            )
        gt_maps = torch.stack(gt_maps)
        aps, cious = {}, {}
        for name in self.scored_models(sample):
            maps = self._maps_of(sample, name, len(gt_maps))
            pairs = pairwise_ap(maps, gt_maps)
            aps[name] = {
                key: assigned_scores(
                    pairs, 'permutation' if key == 'PIAP' else self.assignment
                ).tolist()
                for key in AP_NAMES[self.assignment]
            }
            pairs = pairwise_ciou(maps, gt_maps, self.rule)
            cious[name] = assigned_scores(pairs, self.assignment).tolist()
        references = reference_cious(GroundTruth(gt_maps), [self.rule])
        for name, values in references.items():
            cious[f'ref/{name}'] = values[:, 0].tolist()
        return dict(aps=aps, cious=cious)

    def score(self, items: Sequence[dict]) -> tuple[Rows, list[str]]:
        """Scores all samples."""
        rows = {}
        for row in items[0]['cious']:
            parts = [np.array(item['cious'][row]) for item in items]
            sources = torch.from_numpy(np.concatenate(parts))
            means = torch.tensor([part.mean() for part in parts])
            scores = {
                key: np.concatenate([item['aps'][row][key] for item in items]).mean()
                for key in items[0]['aps'].get(row, ())
            }
            at = f'@{self.ciou_threshold:g}_{self.rule}'
            scores[f'CIoU{at}'] = success_rate(sources, self.ciou_threshold)
            scores[f'image-CIoU{at}'] = success_rate(means, self.ciou_threshold)
            scores[f'AUC_{self.rule}'] = auc(sources)
            rows[row] = {name: 100 * float(value) for name, value in scores.items()}
        counts = [len(item['cious'][row]) for item in items]
        return rows, [
            f'assignment of maps to sources: {self.assignment}; masks: '
            f'{describe_rules([self.rule])}; AP per pixel, mean over sources',
            f'sources: {sum(counts)}; '
            + ', '.join(
                f'{counts.count(k)} images of {k}' for k in sorted(set(counts))
            ),
        ]

    def _maps_of(self, sample: dict, model: str, sources: int) -> torch.Tensor:
        """Predicted maps of a sample, as many as the assignment takes."""
        maps = read_pred_maps(sample, model)
        expected = {'class': sources, 'shared': 1}.get(self.assignment, len(maps))
        if len(maps) != expected:
            raise DataError(
                f'pred_map.{model} of sample {sample.get("sample_id")!r} holds '
                f'{len(maps)} maps for {sources} sources, '
                f"assignment='{self.assignment}' takes {expected}: set "
                "`assignment` to 'permutation', or to 'shared' for one map."
            )
        return maps


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
    takes_ciou = True

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
        """Reads the maps and the image of a sample."""
        if sample.get(self.group_by) is None:
            raise DataError(
                f'Sample {sample.get("sample_id")!r} has no {self.group_by!r}, which '
                'tells what image it belongs to: set `group_by` of InteractiveMetric '
                'to one of the meta keys of PackAVInputs.'
            )
        return dict(
            group=str(sample[self.group_by]),
            gt_map=read_gt_map(sample),
            maps=self.read_maps(sample),
        )

    def score(self, items: Sequence[dict]) -> tuple[Rows, list[str]]:
        """Scores all samples; a DataError says that no image has two sounds."""
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
            scores = summarise_row(worst, self.rules)
            rows[row] = {
                key.replace('CIoU@0.5', 'IIoU').replace('AUC', 'IAUC'): value
                for key, value in scores.items()
            }
        return rows, [
            f'masks: {describe_rules(self.rules)}; IIoU: the worst CIoU of an image '
            '>= 0.5; IAUC over 0, 0.05 ... 1',
            'images: '
            + ', '.join(f'{n} of {k} sounds' for k, n in sorted(sizes.items())),
        ]
