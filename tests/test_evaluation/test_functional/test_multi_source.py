import json
from itertools import permutations

import numpy as np
import pytest
import torch

from mmxpl.evaluation.functional import (
    assigned_scores,
    auc,
    evaluate_maps,
    pairwise_ap,
    pairwise_ciou,
    pixel_ap,
    rasterize_boxes,
    success_rate,
    upsample_maps,
    worst_of_group,
)

from .test_reference import GOLDEN

SIZE = 32


def sources():
    boxes = ([[0, 0, 0.4, 0.5]], [[0.5, 0.4, 1, 1]], [[0.6, 0, 1, 0.3]])
    return torch.stack([rasterize_boxes(b, SIZE) for b in boxes])


def test_pairs_are_single_scores():
    maps = torch.rand(2, 7, 7, generator=torch.Generator().manual_seed(0))
    gt = sources()
    aps, cious = pairwise_ap(maps, gt), pairwise_ciou(maps, gt, 'median_strict')
    assert aps.shape == cious.shape == (2, 3)
    for p in range(2):
        for k in range(3):
            full = upsample_maps(maps[p : p + 1], SIZE)
            assert aps[p, k] == pixel_ap(full, gt[k : k + 1])
            one = evaluate_maps(
                {'a': maps[p : p + 1]}, gt[k : k + 1], ['median_strict']
            )
            assert cious[p, k] == one['a'][0, 0]


def slow_best(pairwise):
    """The largest sum that any one-to-one assignment reaches."""
    count, sources = pairwise.shape
    # None stands for a source that no map is left for
    maps = [*range(count), *[None] * max(0, sources - count)]
    return max(
        sum(pairwise[p, k].item() for k, p in enumerate(order) if p is not None)
        for order in permutations(maps, sources)
    )


@pytest.mark.parametrize('shape', [(1, 1), (3, 3), (2, 4), (4, 2), (1, 3)])
def test_permutation_is_the_best_of_all(shape):
    generator = torch.Generator().manual_seed(sum(shape))
    for _ in range(5):
        pairwise = torch.rand(shape, generator=generator, dtype=torch.float64)
        scores = assigned_scores(pairwise, 'permutation')
        assert scores.shape == (shape[1],)
        assert scores.sum().item() == pytest.approx(slow_best(pairwise))
        left = max(0, shape[1] - shape[0])
        assert (scores == 0).sum() == left


def test_greedy_choice_is_not_good_enough():
    pairwise = torch.tensor([[0.9, 0.8], [0.8, 0.1]], dtype=torch.float64)
    assert assigned_scores(pairwise, 'permutation').tolist() == [0.8, 0.8]
    assert assigned_scores(pairwise, 'class').tolist() == [0.9, 0.1]


def test_shared_map():
    pairwise = torch.tensor([[0.9, 0.2, 0.4]], dtype=torch.float64)
    assert assigned_scores(pairwise, 'shared').tolist() == [0.9, 0.2, 0.4]
    assert assigned_scores(pairwise, 'permutation').tolist() == [0.9, 0, 0]


@pytest.mark.parametrize(
    ('shape', 'assignment', 'message'),
    [
        ((2, 3), 'class', 'takes 3 maps for 3 sources, got 2'),
        ((2, 2), 'shared', 'takes 1 maps'),
        ((2, 2), 'greedy', 'must be one of'),
    ],
)
def test_numbers_that_do_not_suit(shape, assignment, message):
    with pytest.raises(ValueError, match=message):
        assigned_scores(torch.zeros(shape), assignment)


def test_permutation_does_not_see_the_order_of_maps():
    maps = torch.rand(3, 7, 7, generator=torch.Generator().manual_seed(2))
    pairs = pairwise_ap(maps, sources())
    for order in permutations(range(3)):
        shuffled = pairs[list(order)]
        assert torch.equal(
            assigned_scores(shuffled, 'permutation'),
            assigned_scores(pairs, 'permutation'),
        )


def test_worst_of_each_group_in_order_of_appearance():
    values = torch.tensor([[0.9, 0.1], [0.3, 0.5], [0.2, 0.8], [0.4, 0.6]])
    found = worst_of_group(values, ['b', 'a', 'b', 'c'])
    assert torch.equal(found, torch.tensor([[0.2, 0.1], [0.3, 0.5], [0.4, 0.6]]))
    assert torch.equal(worst_of_group(values[:, 0], [1, 1, 1, 1]), torch.tensor([0.2]))


def test_thresholding_the_worst_is_asking_all_to_succeed():
    rng = np.random.default_rng(0)
    cious, groups = rng.random(60), rng.integers(0, 20, 60)
    worst = worst_of_group(torch.from_numpy(cious), groups.tolist())
    for threshold in (0.3, 0.5):
        expected = np.mean(
            [(cious[groups == g] >= threshold).all() for g in set(groups.tolist())]
        )
        assert success_rate(worst, threshold).item() == pytest.approx(expected)


@pytest.mark.skipif(not GOLDEN.is_file(), reason=f'{GOLDEN} is not here')
def test_public_evaluator():
    golden = json.loads(GOLDEN.read_text())
    samples = [s for s in golden['samples'] if s['kind'] == 'vggss']
    rules = ['median_strict', 'adaptive']
    cious = torch.cat(
        [
            evaluate_maps(
                {'a': torch.tensor(s['map'])[None]},
                rasterize_boxes(s['boxes'])[None],
                rules,
            )['a']
            for s in samples
        ]
    )
    worst = worst_of_group(cious, [i // 2 for i in range(len(samples))])
    expected = golden['interactive']['expected']
    for i, suffix in enumerate(('', '_adaptive')):
        assert success_rate(worst.T)[i].item() == pytest.approx(
            expected[f'IIoU{suffix}'], abs=1e-6
        )
        assert auc(worst.T)[i].item() == pytest.approx(
            expected[f'IAUC{suffix}'], abs=1e-6
        )
