import numpy as np
import pytest
import torch
from mmengine.structures import PixelData

from mmxpl.evaluation import NegativeAudioMetric
from mmxpl.evaluation.functional import (
    active_area,
    area_auc,
    auc,
    evaluate_maps,
    extended_ap,
    harmonic_mean,
    localization_accuracy,
    map_confidence,
    max_f1,
    success_rate,
    upsample_maps,
)
from mmxpl.utils import DataError
from tests.test_evaluation.scored_samples import (
    evaluate_samples,
    scored_samples,
    stack_maps,
)

SIZE = 32


def evaluate(samples, **settings):
    return evaluate_samples('NegativeAudioMetric', samples, **settings)


@pytest.mark.parametrize('threshold', [None, 0.55])
def test_negative_audio_scores(threshold):
    samples = scored_samples(18, negative=True)
    scores = evaluate(samples, threshold=threshold)
    found = {k.removeprefix('negative/b/'): v for k, v in scores.items() if '/b/' in k}
    maps, gt = stack_maps(samples, 'b')
    kinds = np.array([s.audio_kind for s in samples])
    level = threshold
    if level is None:
        level = np.quantile(maps[kinds != 'original'].amax((1, 2)).double(), 0.75)
    assert found['threshold'] == pytest.approx(level)
    masks = upsample_maps(maps, SIZE) > level
    positive = torch.from_numpy(kinds == 'original')
    overlap = (masks & (gt > 0)).sum((1, 2)) / (masks | (gt > 0)).sum((1, 2))
    mean = 100 * overlap[positive].mean().item()
    area = 100 * auc(overlap[positive]).item()
    assert found['cIoU'] == pytest.approx(mean, abs=1e-4)
    assert found['AUC'] == pytest.approx(area)
    at_half = 100 * success_rate(overlap[positive]).item()
    assert found['CIoU@0.5'] == pytest.approx(at_half)
    quiet, quiet_auc = [], []
    for kind in ('noise', 'silence'):
        share = active_area(upsample_maps(maps[kinds == kind], SIZE), level)
        quiet.append(100 - 100 * share.mean().item())
        quiet_auc.append(100 * area_auc(share).item())
        assert found[f'pIA_{kind}'] == pytest.approx(100 - quiet[-1])
        assert found[f'AUC_N_{kind}'] == pytest.approx(quiet_auc[-1])
        f = harmonic_mean(mean, quiet[-1])
        assert found[f'F_{kind}'] == pytest.approx(f, abs=1e-4)
        f = harmonic_mean(area, quiet_auc[-1])
        assert found[f'F_AUC_{kind}'] == pytest.approx(f, abs=1e-4)
    f = harmonic_mean(mean, sum(quiet) / 2)
    assert found['F'] == pytest.approx(f, abs=1e-4)
    f = harmonic_mean(area, sum(quiet_auc) / 2)
    assert found['F_AUC'] == pytest.approx(f, abs=1e-4)
    assert scores['negative/ref/whole/pIA_noise'] == 100
    assert scores['negative/ref/whole/F'] == 0


def test_flat_maps_do_not_exceed_their_own_value():
    samples = scored_samples(negative=True)
    for sample in samples:
        # 0.3 comes out of the interpolation with other last bits
        sample.pred_map = PixelData(a=torch.full((1, 7, 7), 0.3), b=sample.pred_map.b)
    for sample in samples[:1]:
        full = upsample_maps(sample.pred_map.a, SIZE)
        assert full.max() > 0.3
    scores = evaluate(samples)
    assert scores['negative/a/pIA_silence'] == 0
    assert scores['negative/a/AUC_N_silence'] == pytest.approx(100)
    assert scores['negative/a/cIoU'] == 0
    assert scores['negative/a/F'] == 0


def test_negative_audio_needs_both_kinds():
    samples = scored_samples(negative=True)
    for kept in ('original', 'silence'):
        part = [
            s for s in samples if (s.audio_kind == 'original') == (kept == 'original')
        ]
        with pytest.raises(DataError, match='needs original and negative sounds'):
            evaluate(part)
    samples[0].gt_map.zero_()
    with pytest.raises(DataError, match='clip_000.*is empty'):
        evaluate(samples)
    sample = samples[1].to_dict()
    del sample['audio_kind']
    with pytest.raises(DataError, match='clip_001.*no audio_kind'):
        NegativeAudioMetric(models=['a']).process(None, [sample])


def extended_scores(samples, **settings):
    return evaluate_samples('ExtendedMetric', samples, **settings)


def test_extended_scores():
    samples = scored_samples(12, negative=True)
    scores = extended_scores(samples)
    for model in ('a', 'b'):
        maps, gt = stack_maps(samples, model)
        visible = gt.flatten(1).any(1)
        assert visible.sum() == 8
        rows = evaluate_maps({'a': maps}, gt, ['median'])
        case = (map_confidence(maps, SIZE), rows['a'][:, 0], visible)
        assert scores[f'extended/{model}/AP'] == 100 * extended_ap(*case).item()
        assert scores[f'extended/{model}/max-F1'] == 100 * max_f1(*case).item()
        accuracy = 100 * localization_accuracy(rows['a'][:, 0], visible).item()
        assert scores[f'extended/{model}/LocAcc'] == accuracy
    disc = 100 * localization_accuracy(rows['ref/disc'][:, 0], visible).item()
    assert scores['extended/ref/disc/LocAcc'] == disc
    assert 'extended/ref/disc/AP' not in scores


def test_extended_set_without_a_source():
    samples = [s for s in scored_samples(negative=True) if not s.gt_map.any()]
    with pytest.raises(DataError, match='no sample with a visible source'):
        extended_scores(samples)
