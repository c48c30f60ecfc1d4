import json

import numpy as np
import pytest
import torch

from mmxpl.evaluation.functional import (
    auc,
    evaluate_maps,
    rasterize_boxes,
    success_rate,
    worst_of_group,
)

from .test_reference import GOLDEN


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
