import itertools

import numpy as np
import pytest
import torch

from mmxpl.evaluation.functional import (
    auc,
    bootstrap_intervals,
    mcnemar_p_value,
    per_sample_scores,
    sign_flip_p_values,
    success_rate,
)


def test_means_of_the_parts_are_the_scores():
    cious = torch.rand(50, dtype=torch.float64)
    cious[:3] = torch.tensor([0.0, 0.5, 1.0])
    means = per_sample_scores(cious, (0.3, 0.5)).mean(0)
    expected = [success_rate(cious, 0.3), success_rate(cious), auc(cious)]
    torch.testing.assert_close(means, torch.stack(expected))


def test_interval_is_that_of_the_mean():
    values = torch.from_numpy(np.random.default_rng(0).normal(3, 2, (400, 2)))
    ends = bootstrap_intervals(values, 2000, seed=1)
    half = 1.96 * values.std(0) / 20
    torch.testing.assert_close(ends[:, 0], values.mean(0) - half, atol=0.03, rtol=0)
    torch.testing.assert_close(ends[:, 1], values.mean(0) + half, atol=0.03, rtol=0)


def test_interval_is_the_slow_one_and_keeps_its_seed():
    values = torch.rand(7, 1, dtype=torch.float64)
    found = bootstrap_intervals(values, 300, seed=5)
    drawn = np.random.default_rng(5).integers(7, size=(300, 7))
    means = [np.mean([values[i, 0] for i in row]) for row in drawn]
    np.testing.assert_allclose(found[0], np.quantile(means, [0.025, 0.975]))
    assert torch.equal(found, bootstrap_intervals(values, 300, seed=5))
    assert not torch.equal(found, bootstrap_intervals(values, 300, seed=6))


def test_intervals_cover_the_truth_at_their_rate():
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(100):
        values = torch.from_numpy(rng.binomial(1, 0.4, (120, 1)).astype(float))
        low, high = bootstrap_intervals(values, 300, seed)[0]
        hits += bool(low <= 0.4 <= high)
    assert 88 <= hits <= 100


def test_sign_flips_against_all_of_them():
    differences = torch.tensor([0.3, -0.1, 0.4, 0.2, 0.0, 0.25, 0.1])[:, None].double()
    observed = abs(differences.sum().item())
    reached = [
        abs((torch.tensor(signs)[:, None] * differences).sum().item())
        >= observed - 1e-9
        for signs in itertools.product((1, -1), repeat=7)
    ]
    found = sign_flip_p_values(differences, 20000).item()
    assert found == pytest.approx(np.mean(reached), abs=0.01)


def test_no_difference_has_no_evidence():
    assert sign_flip_p_values(torch.zeros(9, 1), 50).item() == 1
    assert 0 < sign_flip_p_values(torch.ones(40, 1), 50).item() <= 1 / 51


def test_mcnemar_by_hand():
    assert mcnemar_p_value(0, 0) == 1
    assert mcnemar_p_value(5, 5) == 1
    assert mcnemar_p_value(0, 5) == pytest.approx(2 / 32)
    assert mcnemar_p_value(1, 8) == mcnemar_p_value(8, 1) == pytest.approx(20 / 512)
    assert 0 < mcnemar_p_value(1000, 1300) < 1e-8
