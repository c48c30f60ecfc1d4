"""Metrics of sounds without a visible source: extended sets and negative audio."""

import zlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mmxpl.registry import METRICS
from mmxpl.structures import ORIGINAL
from mmxpl.utils import DataError
from mmxpl.utils.checks import check_fraction

from ..functional import (
    active_area,
    area_auc,
    auc,
    ciou,
    describe_rules,
    extended_ap,
    harmonic_mean,
    localization_accuracy,
    map_confidence,
    max_f1,
    success_rate,
    universal_threshold,
    upsample_maps,
)
from .map_metric import MapMetric, Rows, check_rules, column, read_gt_map


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
    takes_ciou = True

    def __init__(self, rule: str = 'median', **kwargs) -> None:
        super().__init__(**kwargs)
        check_rules([rule])
        self.rules = (rule,)

    def measure(self, sample: dict) -> dict:
        """Reads the maps of a sample and their confidences."""
        gt_map = read_gt_map(sample)
        maps = self.read_maps(sample)
        return dict(
            visible=bool(gt_map.any()),
            gt_map=gt_map,
            maps=maps,
            confidences={
                name: float(map_confidence(one[None], len(gt_map)))
                for name, one in maps.items()
            },
        )

    def score(self, items: Sequence[dict]) -> tuple[Rows, list[str]]:
        """Scores all samples; a DataError says that none has a visible source."""
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
            f'masks: {describe_rules(self.rules)}; confidence: mean of the highest '
            'quarter of pixels',
            'AP and max-F1: CIoU >= 0.5 over all pairs; LocAcc: CIoU > 0.5 where a '
            'source is visible',
            f'pairs: {int(visible.sum())} with and {int((~visible).sum())} without a '
            'visible source',
        ]


@METRICS.register_module()
class NegativeAudioMetric(MapMetric):
    """Marked area under negative audio, and F-scores at a universal threshold.

    The protocol of vssl_eval (Juanola et al., ICASSP 2025). Every sample tells
    its ``audio_kind``: 'original', or the name of a kind of negative audio, as
    :class:`mmxpl.datasets.NegativeAudioDataset` makes them. One threshold t on
    the probability, the same for all samples, must find the source of an original
    sound and mark nothing for a negative one. Keys, for each model::

        threshold                    t, a probability (not per cent)
        cIoU   CIoU@0.5   AUC        of the original sounds at t; cIoU is the mean
        pIA_<kind>   AUC_N_<kind>    marked share of the frame, and the area under
                                     the share of samples that mark at most that
        F_<kind>   F                 harmonic mean of cIoU and 100 - pIA; F of all
                                     kinds takes the mean of the 100 - pIA
        F_AUC_<kind>   F_AUC         the same of AUC and AUC_N

    A pixel is marked if it exceeds t. The row ``ref/whole`` marks every pixel,
    whatever sounds.

    Maps are kept at the resolution that they have, ground truth compressed: the
    threshold is known only when all samples are seen.

    Args:
        threshold (float, optional): The threshold t, chosen beforehand; by
            default the quantile.
        quantile (float): Without ``threshold``, t is this quantile of the highest
            values of the evaluated maps of negative audio, all kinds together; so
            it is fitted to the evaluated set.
        **kwargs: See :class:`mmxpl.evaluation.MapMetric`.
    """

    default_prefix = 'negative'

    def __init__(
        self, threshold: float | None = None, quantile: float = 0.75, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        check_fraction(quantile=quantile, threshold=threshold or 0.0)
        self.threshold = threshold
        self.quantile = quantile

    def measure(self, sample: dict) -> dict:
        """Keeps the maps and, for original sounds, the ground truth."""
        kind = sample.get('audio_kind')
        if kind is None:
            raise DataError(
                f'Sample {sample.get("sample_id")!r} has no audio_kind: evaluate on a '
                'NegativeAudioDataset.'
            )
        gt_map = read_gt_map(sample)
        packed = None
        if kind == ORIGINAL:
            if not gt_map.any():
                raise DataError(
                    f'gt_map of sample {sample.get("sample_id")!r} is empty, though '
                    'its sound is the original one: leave clips without a visible '
                    'source out.'
                )
            packed = zlib.compress(gt_map.contiguous().numpy().tobytes(), 1)
        maps = {name: one.numpy() for name, one in self.read_maps(sample).items()}
        return dict(kind=kind, size=len(gt_map), gt_map=packed, maps=maps)

    def score(self, items: Sequence[dict]) -> tuple[Rows, list[str]]:
        """Scores all samples; a DataError says that originals or negatives lack."""
        counts = Counter(item['kind'] for item in items)
        kinds = sorted(set(counts) - {ORIGINAL})
        if not kinds or not counts[ORIGINAL]:
            raise DataError(
                f'NegativeAudioMetric needs original and negative sounds, got '
                f'{dict(counts)}: give NegativeAudioDataset both in `kinds`.'
            )
        rows = {}
        for name in self.models:
            threshold = self.threshold
            if threshold is None:
                highest = [
                    i['maps'][name].max() for i in items if i['kind'] != ORIGINAL
                ]
                threshold = universal_threshold(torch.tensor(highest), self.quantile)
            scores = _score_at(items, kinds, name, threshold)
            rows[name] = dict(threshold=threshold) | scores
        # every pixel of every map
        whole = [dict(item, maps={'whole': np.ones((1, 1))}) for item in items]
        rows['ref/whole'] = _score_at(whole, kinds, 'whole', 0.0)
        fitted = (
            f'quantile {self.quantile:g} of the highest values under negative audio '
            'of THIS set'
            if self.threshold is None
            else 'given'
        )
        return rows, [
            f'threshold: {fitted}; a pixel is marked if it exceeds it; per cent but '
            'for the threshold',
            'sounds: ' + ', '.join(f'{counts[k]} {k}' for k in (ORIGINAL, *kinds)),
        ]


def _score_at(
    items: Sequence[dict], kinds: Sequence[str], model: str, threshold: float
) -> dict[str, float]:
    """Scores of one model at a threshold, per cent."""
    cious = torch.cat(
        [
            ciou(_full_map(item, model) > threshold, _unpack(item))
            for item in items
            if item['kind'] == ORIGINAL
        ]
    )
    # by NumPy, as a sum of that many numbers must not depend on threads
    mean = 100 * float(np.mean(cious.numpy()))
    area = 100 * float(auc(cious))
    at_half = 100 * float(success_rate(cious))
    scores = {'cIoU': mean, 'CIoU@0.5': at_half, 'AUC': area}
    silent, silent_auc = [], []
    for kind in kinds:
        areas = torch.cat(
            [
                active_area(_full_map(item, model), threshold)
                for item in items
                if item['kind'] == kind
            ]
        )
        scores[f'pIA_{kind}'] = 100 * float(np.mean(areas.numpy()))
        scores[f'AUC_N_{kind}'] = 100 * float(area_auc(areas))
        silent.append(100 - scores[f'pIA_{kind}'])
        silent_auc.append(scores[f'AUC_N_{kind}'])
        scores[f'F_{kind}'] = harmonic_mean(mean, silent[-1])
        scores[f'F_AUC_{kind}'] = harmonic_mean(area, silent_auc[-1])
    scores['F'] = harmonic_mean(mean, float(np.mean(silent)))
    scores['F_AUC'] = harmonic_mean(area, float(np.mean(silent_auc)))
    return scores


def _full_map(item: dict, model: str) -> Tensor:
    """Predicted map at full resolution, (1, S, S)."""
    maps = torch.from_numpy(item['maps'][model])[None]
    # rounding may lift a pixel above the map's highest value, and that of a flat map is
    # the very threshold
    return upsample_maps(maps, item['size']).clamp(float(maps.min()), float(maps.max()))


def _unpack(item: dict) -> Tensor:
    """Ground-truth map, (1, S, S)."""
    values = np.frombuffer(zlib.decompress(item['gt_map']), np.float32)
    return torch.from_numpy(values.reshape(1, item['size'], -1).copy())
