import numpy as np
import pytest
import torch

from mmxpl.evaluation.functional import (
    ALL_RULES,
    evaluate_maps,
    rasterize_boxes,
    upsample_maps,
)
from mmxpl.evaluation.maps import compare_scores, open_maps, score_files
from mmxpl.utils import DataError
from tests.test_evaluation.test_maps.conftest import BOXES


def test_mixed_sizes_are_scored_like_each_alone(truth, maps):
    ids = sorted(BOXES)
    found = score_files({'x': maps}, truth, ids, tuple(ALL_RULES))
    assert found.sizes == ['huge', 'large', 'small', 'small', 'huge']
    assert found.categories == ['cat', 'dog', 'cat', 'cat', 'cat']
    assert found.num_empty == 1
    for n, name in enumerate(ids):
        gt = rasterize_boxes(BOXES[name])[None]
        one = upsample_maps(maps.read(name)[None])
        expected = evaluate_maps({'x': one}, gt, tuple(ALL_RULES))
        for row, values in expected.items():
            assert torch.equal(found.cious[row][n], values[0]), (name, row)


@pytest.mark.parametrize('chunk', [1, 2, 5])
def test_chunk_changes_nothing(truth, maps, chunk):
    ids = sorted(BOXES)
    expected = score_files({'x': maps}, truth, ids, chunk=100)
    found = score_files({'x': maps}, truth, ids, chunk=chunk)
    for row, values in expected.cious.items():
        assert torch.equal(found.cious[row], values)
    assert found.sizes == expected.sizes


def test_memory_does_not_grow_with_the_number_of_maps(truth, maps, monkeypatch):
    # how many full-size maps one step gets is what bounds the memory
    import mmxpl.evaluation.maps.report as module

    seen = []

    def evaluate(stacked, *args):
        seen.append(len(stacked['x']))
        return evaluate_maps(stacked, *args)

    monkeypatch.setattr(module, 'evaluate_maps', evaluate)
    score_files({'x': maps}, truth, sorted(BOXES), chunk=2)
    assert seen == [2, 2, 1]


def test_nothing_to_score(truth, maps):
    with pytest.raises(DataError, match='empty'):
        score_files({'x': maps}, truth, [])


def test_groups_and_intervals(truth, maps, report_of):
    report = report_of(lists={'heard': ['a', 'q'], 'none': ['q']}, resamples=50)
    assert report['protocol']['missing'] == ['z']
    assert report['groups']['size']['huge']['n'] == 2
    assert report['groups']['list']['none'] == {'n': 0}
    heard = report['groups']['list']['heard']
    assert heard['n'] == 1
    cious = score_files({'m': maps}, truth, ['a']).cious['m'][0]
    assert heard['scores']['adaptive']['mean_CIoU'] == pytest.approx(100 * cious[2])
    disc = score_files({'m': maps}, truth, ['a']).cious['ref/disc'][0]
    assert heard['disc']['adaptive']['mean_CIoU'] == pytest.approx(100 * disc[2])
    low, high = report['intervals']['median']['AUC']
    assert low <= report['scores']['median']['AUC'] <= high


def test_sweep_takes_the_best_and_says_where(report_of):
    sweep = report_of()['sweep']
    best = sweep['best']['maps']['by_AUC']
    assert best['AUC'] == max(values['AUC'] for values in sweep['curve'].values())
    assert 'evaluated set' in sweep['chosen_on']


def test_comparison_of_a_set_with_itself_and_with_a_worse_one(truth, maps, tmp_path):
    np.savez(tmp_path / 'w.npz', **{i: 1 - maps.read(i).numpy() for i in BOXES})
    both = {'A': maps, 'B': open_maps(str(tmp_path / 'w.npz'))}
    ids = sorted(BOXES)
    same = compare_scores(
        score_files({'A': maps, 'B': maps}, truth, ids), 'A', 'B', 50, 99
    )
    for measures in same.values():
        for found in measures.values():
            assert found['difference'] == 0
            assert found['interval'] == [0, 0]
            assert found['p_sign_flip'] == 1
        assert measures['CIoU@0.5']['p_mcnemar'] == 1
    scores = score_files(both, truth, ids)
    forth = compare_scores(scores, 'A', 'B', 50, 99)
    back = compare_scores(scores, 'B', 'A', 50, 99)
    for rule, measures in forth.items():
        for name, found in measures.items():
            other = back[rule][name]
            assert found['difference'] == pytest.approx(-other['difference'])
            assert found['p_sign_flip'] == other['p_sign_flip']
            assert found['first'] - found['second'] == pytest.approx(
                found['difference']
            )
        hits, others = measures['CIoU@0.5'], back[rule]['CIoU@0.5']
        assert hits['only_first'] == others['only_second']
        share = 100 * (hits['only_first'] - hits['only_second']) / len(ids)
        assert hits['difference'] == pytest.approx(share)
