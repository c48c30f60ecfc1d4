import torch

from mmxpl.evaluation.functional import GroundTruth, size_groups


def test_boundaries_of_slavc():
    gt = torch.zeros(6, 224 * 224)
    areas = [0, 1023, 1024, 96**2 - 1, 96**2, 144**2]
    for row, area in zip(gt, areas, strict=True):
        row[:area] = 1
    found = size_groups(GroundTruth(gt.reshape(6, 224, 224)))
    assert found == ['small', 'small', 'medium', 'medium', 'large', 'huge']


def test_half_counts_half_and_other_sizes_are_brought_to_224():
    gt = torch.zeros(2, 56, 56)
    gt[:, :16, :16] = 1  # 64 x 64 pixels of a 224-pixel map
    gt[1] /= 8
    assert size_groups(GroundTruth(gt)) == ['medium', 'small']
