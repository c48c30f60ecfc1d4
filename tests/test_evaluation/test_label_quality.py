"""Labels against ground truth, beside sums written out cell by cell."""

import numpy as np
import pytest
import torch

from mmxpl.evaluation.functional import GroundTruth, score_maps
from mmxpl.evaluation.label_quality import HiddenTruth, label_facts, label_quality
from mmxpl.utils import DataError


@pytest.fixture(scope='module')
def labels():
    return torch.rand(5, 2, 4, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope='module')
def gt_maps():
    maps = torch.zeros(5, 32, 32)
    for n in range(5):
        maps[n, 2 + n : 20, 5 : 12 + 3 * n] = 1
    maps[4, 25:] = 0.5  # as of annotators who disagree
    return maps


def test_facts_equal_sums_written_out(labels):
    facts = label_facts(labels, ['a', 'b'])
    for n, (a, b) in enumerate(labels.double().numpy()):
        assert facts['agreement'][n] == pytest.approx(
            np.minimum(a, b).sum() / np.maximum(a, b).sum()
        )
        assert facts['a_sharpness'][n] == pytest.approx(np.abs(2 * a - 1).mean())
        assert facts['b_area'][n] == pytest.approx(b.mean())


def test_quality_equals_sums_written_out(labels, gt_maps):
    quality = label_quality(labels, gt_maps, ['a', 'b'])
    for n, gt in enumerate(gt_maps.double().numpy()):
        cells = gt.reshape(4, 8, 4, 8).mean(axis=(1, 3))
        b = labels[n, 1].double().numpy()
        assert quality['b_soft_iou'][n] == pytest.approx(
            np.minimum(b, cells).sum() / np.maximum(b, cells).sum()
        )
        assert quality['true_area'][n] == pytest.approx(gt.mean())
    cious = score_maps(labels[:, 0], GroundTruth(gt_maps), ['adaptive'])[:, 0]
    hits = quality['a_CIoU@0.5_adaptive']
    assert hits.tolist() == [100.0 * (c >= 0.5) for c in cious.tolist()]


def test_the_truth_itself_is_a_perfect_label(gt_maps):
    cells = gt_maps[:4].reshape(4, 4, 8, 4, 8).mean(dim=(2, 4))
    quality = label_quality(cells[:, None], gt_maps[:4], ['a'])
    assert quality['a_soft_iou'].tolist() == pytest.approx([1] * 4)
    assert quality['a_CIoU@0.5_adaptive'].tolist() == [100] * 4


@pytest.fixture
def truth_cfg(tiny_world):
    return dict(
        type='AVJsonDataset',
        data_root=str(tiny_world),
        id_list='train.txt',
        labeled=True,
        pipeline=[
            dict(type='LoadFrame', size=48),  # must not run
            dict(type='RasterizeTargets', size=64, source='mask'),
        ],
    )


def test_truth_follows_the_ids_and_its_own_rasterizer(truth_cfg, tiny_world, logged):
    ids = ['clip-05', 'unknown', 'clip-02', 'clip-07']
    truth = HiddenTruth(truth_cfg, ids)
    assert truth.rows.tolist() == [0, 2, 3]
    assert '3 of 4 unlabeled clips by annotations' in logged()
    assert '5 more annotated clips' in logged()
    single = HiddenTruth(truth_cfg, ['clip-02'])
    assert torch.equal(truth.maps(1, 2), single.maps(0, 1))
    assert truth.maps(0, 3).shape == (3, 64, 64)


def test_judging_does_not_depend_on_the_chunk(truth_cfg):
    ids = [f'clip-{n:02d}' for n in range(8)]
    truth = HiddenTruth(truth_cfg, ids)
    labels = torch.rand(8, 2, 6, 6).half()
    whole, parts = (truth.judge(labels, ['a', 'b'], chunk) for chunk in (8, 3))
    assert len(whole) == 5
    for key in whole:
        assert torch.equal(whole[key], parts[key])


def test_labels_of_clips_without_truth_are_left_out(truth_cfg):
    truth = HiddenTruth(truth_cfg, ['unknown', 'clip-05', 'clip-02'])
    labels = torch.rand(3, 1, 6, 6)
    expected = label_quality(labels[1:], truth.maps(0, 2), ['a'])
    judged = truth.judge(labels, ['a'])
    assert all(torch.equal(judged[key], expected[key]) for key in expected)


def test_truth_without_annotations_is_refused(truth_cfg):
    with pytest.raises(DataError, match='set labeled=True'):
        HiddenTruth({**truth_cfg, 'labeled': False}, ['clip-02'])


def test_truth_of_other_clips_is_refused(truth_cfg):
    with pytest.raises(DataError, match='none of the 1'):
        HiddenTruth(truth_cfg, ['clip-10'])
