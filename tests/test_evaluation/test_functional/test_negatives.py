import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmxpl.evaluation.functional import (
    active_area,
    area_auc,
    evaluate_maps,
    extended_ap,
    harmonic_mean,
    localization_accuracy,
    map_confidence,
    max_f1,
    precision_recall,
    rasterize_boxes,
    universal_threshold,
)

from .test_reference import GOLDEN


def slow_counts(confidences, cious, visible, threshold):
    """One pair after the other, as the rules read."""
    tp = fp = fn = 0
    for confidence, ciou, seen in zip(confidences, cious, visible, strict=True):
        passes = confidence >= threshold
        if not seen:
            fp += passes
        elif not passes:
            fn += 1
        elif ciou >= 0.5:
            tp += 1
        else:
            fp += 1
    precision = tp / (tp + fp) if tp + fp else 1.0
    return precision, tp / (tp + fn) if tp + fn else 1.0


def slow_ap(confidences, cious, visible):
    step = max(1, len(confidences) // 200)
    descending = np.sort(confidences)[:-1][::-step]
    curve = [slow_counts(confidences, cious, visible, t) for t in descending]
    return sum(
        max(p for p, _ in curve[i:]) * (curve[i + 1][1] - curve[i][1])
        for i in range(len(curve) - 1)
    )


def slow_max_f1(confidences, cious, visible):
    ascending = sorted(confidences)[:: max(1, len(confidences) // 10)]
    best = 0.0
    for threshold in ascending:
        p, r = slow_counts(confidences, cious, visible, threshold)
        best = max(best, 2 * p * r / (p + r) if p + r else 0.0)
    return best


def random_case(count, seed=0, levels=None):
    rng = np.random.default_rng(seed)
    confidences = rng.random(count)
    if levels:  # many ties
        confidences = np.round(confidences * levels) / levels
    cious = rng.random(count)
    cious[: count // 5] = 0.5  # exactly at the threshold
    return confidences, cious, rng.random(count) < 0.6


def as_tensors(case):
    return tuple(map(torch.from_numpy, case))


@pytest.mark.parametrize('levels', [None, 5])
@pytest.mark.parametrize('count', [1, 2, 9, 37, 451])
def test_against_the_slow_rules(count, levels):
    case = random_case(count, seed=count, levels=levels)
    tensors = as_tensors(case)
    thresholds = torch.linspace(-0.1, 1.1, 7, dtype=torch.float64)
    found = torch.stack(precision_recall(*tensors, thresholds), 1)
    expected = [slow_counts(*case, t) for t in thresholds.tolist()]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)
    assert extended_ap(*tensors).item() == pytest.approx(slow_ap(*case), abs=1e-12)
    assert max_f1(*tensors).item() == pytest.approx(slow_max_f1(*case), abs=1e-12)


def test_at_exactly_one_half():
    cious = torch.tensor([0.5, 0.6, 0.4], dtype=torch.float64)
    visible = torch.tensor([True, True, True])
    assert localization_accuracy(cious, visible).item() == pytest.approx(1 / 3)
    precision, _ = precision_recall(cious, cious, visible, torch.zeros(1).double())
    assert precision.item() == pytest.approx(2 / 3)


def test_constant_confidence_has_no_curve():
    _, cious, visible = as_tensors(random_case(30))
    constant = torch.full((30,), 0.7, dtype=torch.float64)
    assert extended_ap(constant, cious, visible) == 0
    hits = (visible & (cious >= 0.5)).sum().item()
    # all pass: recall is 1 as far as anything was found at all
    assert max_f1(constant, cious, visible).item() == pytest.approx(
        2 * (hits / 30) / (1 + hits / 30)
    )


def test_nothing_visible():
    confidences, cious, _ = as_tensors(random_case(20))
    visible = torch.zeros(20, dtype=torch.bool)
    assert extended_ap(confidences, cious, visible) == 0
    assert max_f1(confidences, cious, visible) == 0
    assert localization_accuracy(cious, visible).isnan()


def test_perfect_ranking_of_right_places():
    confidences = torch.arange(100, dtype=torch.float64)
    visible = confidences >= 50
    cious = torch.ones(100, dtype=torch.float64)
    # all but the first two steps of recall count, at precision 1
    assert extended_ap(confidences, cious, visible).item() == pytest.approx(48 / 50)
    assert max_f1(confidences, cious, visible) == 1


def golden_case():
    """Extended part of the golden file: cious, confidences, visible, expected."""
    golden = json.loads(GOLDEN.read_text())
    samples = [s for s in golden['samples'] if s['kind'] == 'vggss']
    cious = torch.zeros(len(samples), dtype=torch.float64)
    confidences = torch.zeros_like(cious)
    visible = torch.arange(len(samples)) % 3 != 0
    for i, sample in enumerate(samples):
        one = torch.tensor(sample['map'])[None]
        gt = rasterize_boxes(sample['boxes'])[None]
        cious[i] = evaluate_maps({'a': one}, gt, ['median'])['a'][0, 0]
        confidences[i] = map_confidence(one if visible[i] else 0.6 * one)[0]
    return cious, confidences, visible, golden['extended']


@pytest.mark.skipif(not GOLDEN.is_file(), reason=f'{GOLDEN} is not here')
def test_public_evaluator():
    cious, confidences, visible, golden = golden_case()
    assert visible.tolist() == [n > 0 for n in golden['num_boxes']]
    np.testing.assert_allclose(confidences.numpy(), golden['confidence'], atol=1e-6)
    expected = golden['expected']
    for found, key in (
        (localization_accuracy(cious, visible), 'LocAcc'),
        (extended_ap(confidences, cious, visible), 'AP@0.5'),
        (max_f1(confidences, cious, visible), 'max-F1@0.5'),
    ):
        assert found.item() == pytest.approx(expected[key], abs=1e-6), key


@pytest.mark.parametrize('size', [224, 15])  # 225 pixels: the quarter is rounded up
def test_mean_of_the_highest_quarter(size):
    maps = torch.rand(5, 7, 7, generator=torch.Generator().manual_seed(0))
    full = F.interpolate(
        maps[:, None], (size, size), mode='bilinear', align_corners=True
    )
    expected = []
    for one in full[:, 0].numpy():
        n = one.size
        expected.append(np.sort(one.flatten())[-n // 4 :].mean(dtype=np.float64))
    found = map_confidence(maps, size)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def test_flat_map_is_as_confident_as_its_value():
    found = map_confidence(torch.full((1, 3, 3), 0.25), 16).item()
    assert found == pytest.approx(0.25, abs=1e-7)


def test_result_does_not_depend_on_the_batch():
    maps = torch.rand(6, 7, 7, generator=torch.Generator().manual_seed(1))
    together = map_confidence(maps)
    assert torch.equal(together, torch.cat([map_confidence(m[None]) for m in maps]))
    assert map_confidence(maps[:0]).shape == (0,)


def test_active_area_is_strict():
    maps = torch.tensor([[[0.2, 0.5], [0.6, 0.9]], [[0.5, 0.5], [0.5, 0.5]]])
    assert active_area(maps, 0.5).tolist() == [0.5, 0]
    assert active_area(maps, 0.0).tolist() == [1, 1]


def slow_area_auc(areas):
    grid = [0.05 * i for i in range(21)]
    rates = [np.mean(np.asarray(areas) <= t) for t in grid]
    return sum(
        (grid[i + 1] - grid[i]) * (rates[i] + rates[i + 1]) / 2 for i in range(20)
    )


def test_area_auc():
    areas = np.random.default_rng(0).random(30)
    found = area_auc(torch.from_numpy(areas)).item()
    assert found == pytest.approx(slow_area_auc(areas), abs=1e-12)
    assert area_auc(torch.zeros(4)).item() == pytest.approx(1)
    # everything is active: only the last threshold allows it
    assert area_auc(torch.ones(4)).item() == pytest.approx(0.025)


def test_harmonic_mean():
    assert harmonic_mean(40, 60) == pytest.approx(48)
    assert harmonic_mean(50, 50) == 50
    assert harmonic_mean(0, 100) == 0
    assert harmonic_mean(0, 0) == 0


def test_universal_threshold():
    maxima = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.9])
    assert universal_threshold(maxima) == pytest.approx(0.4)
    assert universal_threshold(maxima, 1.0) == pytest.approx(0.9)
    assert universal_threshold(maxima, 0.625) == pytest.approx(0.35)
    # the share of silent maps is at least the quantile
    assert (maxima <= universal_threshold(maxima)).double().mean() >= 0.75
