import numpy as np
import pytest
import torch

from mmxpl.evaluation.functional import F_THRESHOLDS, f_scores, mask_iou, pixel_ap


def test_thresholds_are_those_of_avsbench():
    assert torch.equal(F_THRESHOLDS, torch.linspace(0, 1 - 1e-10, 255))


def test_iou_against_the_definition():
    generator = torch.Generator().manual_seed(0)
    masks = torch.rand(8, 6, 6, generator=generator) > 0.6
    targets = torch.rand(8, 6, 6, generator=generator) > 0.5
    targets[2] = False  # nothing sounds: the share left empty
    masks[3], targets[3] = False, False
    masks[4] = False
    masks[5], targets[5] = True, True
    expected = []
    for m, t in zip(masks.numpy(), targets.numpy(), strict=True):
        if not t.any():
            expected.append((~m).mean())
        else:
            expected.append((m & t).sum() / (m | t).sum())
    np.testing.assert_allclose(mask_iou(masks, targets).numpy(), expected, atol=1e-12)
    assert expected[3:6] == [1, 0, 1]


def slow_f(pred, target, beta2):
    """One threshold after the other, with AVSBench's guards."""
    curve = []
    for threshold in torch.linspace(0, 1 - 1e-10, 255):
        passing = pred >= threshold
        tp = (passing & target).sum().double()
        precision = tp / (passing.sum() + 1e-20)
        recall = tp / (target.sum() + 1e-20)
        f = (1 + beta2) * precision * recall / (beta2 * precision + recall)
        curve.append(0.0 if f.isnan() else f.item())
    return curve


@pytest.mark.parametrize('beta2', [0.3, 1.0])
def test_f_against_the_definition(beta2):
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand(6, 9, 9, generator=generator)
    maps[1] = (maps[1] * 4).round() / 4
    maps[2] = F_THRESHOLDS[torch.randint(255, (9, 9), generator=generator)]
    maps[3], maps[4] = 0, 1
    targets = torch.rand(6, 9, 9, generator=generator) > 0.6
    targets[5] = False
    found = f_scores(maps, targets, beta2)
    expected = [slow_f(m, t, beta2) for m, t in zip(maps, targets, strict=True)]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)
    assert found[5].max() == 0


def test_result_does_not_depend_on_the_batch():
    maps = torch.rand(4, 9, 9, generator=torch.Generator().manual_seed(1))
    targets = maps.flip(0) > 0.5
    found = [f_scores(m[None], t[None]) for m, t in zip(maps, targets, strict=True)]
    assert torch.equal(f_scores(maps, targets), torch.cat(found))
    assert f_scores(maps[:0], targets[:0]).shape == (0, 255)


def slow_ap(scores, positive):
    """Precision and recall at every distinct value, from the highest down."""
    area, before = 0.0, 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        passing = scores >= threshold
        recall = (passing & positive).sum() / positive.sum()
        area += (recall - before) * (passing & positive).sum() / passing.sum()
        before = recall
    return area


@pytest.mark.parametrize('levels', [None, 4, 1])  # 1: all pixels tie
def test_against_the_definition(levels):
    rng = np.random.default_rng(0)
    maps = rng.random((6, 9, 9)).astype(np.float32)
    if levels:
        maps = np.floor(maps * levels) / levels
    targets = rng.random((6, 9, 9)) < 0.3
    found = pixel_ap(torch.from_numpy(maps), torch.from_numpy(targets))
    expected = [
        slow_ap(m.ravel(), t.ravel()) for m, t in zip(maps, targets, strict=True)
    ]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def test_known_value():
    # the example of scikit-learn's average_precision_score
    scores = torch.tensor([[[0.1, 0.4], [0.35, 0.8]]])
    targets = torch.tensor([[[0, 0], [1, 1]]])
    assert pixel_ap(scores, targets).item() == pytest.approx(0.8333333333)


def test_corners():
    maps = torch.rand(1, 5, 5)
    assert pixel_ap(maps, torch.zeros(1, 5, 5)).isnan().all()
    assert pixel_ap(maps, torch.ones(1, 5, 5)).item() == pytest.approx(1)
    half = torch.zeros(1, 4, 4)
    half[:, :2] = 1
    assert pixel_ap(torch.zeros(1, 4, 4), half).item() == 0.5  # the prevalence
    assert pixel_ap(half, half).item() == 1
    assert pixel_ap(maps[:0], maps[:0]).shape == (0,)


@pytest.mark.parametrize('score', [f_scores, pixel_ap])
def test_threads_change_nothing(score):
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand(7, 9, 9, generator=generator)
    targets = torch.rand(7, 9, 9, generator=generator) > 0.6
    before, found = torch.get_num_threads(), []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        found.append(score(maps, targets))
    torch.set_num_threads(before)
    assert torch.equal(*found)
