import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmxpl.structures import (
    compose_affine,
    invert_affine,
    rasterize_boxes,
    rasterize_consensus,
    visible_cells,
    warp,
)
from mmxpl.utils import DataError


def test_crop_and_flip_show_the_right_part():
    image = torch.arange(16.0).view(1, 1, 4, 4)
    # right half, lower half
    theta = compose_affine(
        torch.tensor([[0.5, 0.5]]), torch.tensor([[0.5, 0.5]]), torch.tensor([False])
    )
    small = warp(image, theta)[..., ::3, ::3]  # corners are near the crop's corners
    assert small[0, 0, 0, 0] < small[0, 0, 0, 1] < small[0, 0, 1, 0]
    assert small.min() >= 8
    flip = compose_affine(torch.zeros(1, 2), torch.ones(1, 2), torch.tensor([True]))
    torch.testing.assert_close(warp(image, flip), image.flip(3))


def test_warp_samples_where_pytorch_does_under_any_affine():
    generator = torch.Generator().manual_seed(0)
    theta = torch.rand(3, 2, 3, generator=generator) - 0.5
    images = torch.rand(3, 2, 5, 8, generator=generator)
    grid = F.affine_grid(theta, [3, 2, 5, 8], align_corners=False)
    expected = F.grid_sample(images, grid, padding_mode='border', align_corners=False)
    torch.testing.assert_close(warp(images, theta), expected)


def test_inverse_leads_back():
    theta = compose_affine(
        torch.tensor([[0.2, -0.3]]), torch.tensor([[0.5, 0.7]]), torch.tensor([True])
    )
    full = torch.tensor([[[0.0, 0.0, 1.0]]])
    there = torch.cat([theta, full], dim=1)
    back = torch.cat([invert_affine(theta), full], dim=1)
    torch.testing.assert_close(there @ back, torch.eye(3)[None], atol=1e-6, rtol=0)


def test_visible_cells_are_those_of_the_crop():
    # the view shows the left half: seen from the canonical frame, cells on the left
    theta = compose_affine(
        torch.tensor([[-0.5, 0.0]]), torch.tensor([[0.5, 1.0]]), torch.tensor([False])
    )
    seen = visible_cells(invert_affine(theta), (4, 4))
    assert seen[0].tolist() == [[True, True, False, False]] * 4


def test_boxes_are_truncated_like_the_public_code():
    rng = np.random.default_rng(0)
    boxes = rng.uniform(-0.1, 1.1, (6, 4))
    boxes[:, 2:] = np.maximum(boxes[:, :2], boxes[:, 2:])
    expected = np.zeros((224, 224))
    for x1, y1, x2, y2 in (np.clip(boxes, 0, 1) * 224).astype(int):
        expected[y1:y2, x1:x2] = 1
    assert np.array_equal(rasterize_boxes(boxes).numpy(), expected)


def test_union_counts_an_overlap_once_and_ends_before_the_second_corner():
    gt_map = rasterize_boxes([[0, 0, 0.5, 0.5], [0.25, 0.25, 0.75, 0.75]], size=8)
    assert gt_map.dtype == torch.float32
    assert gt_map.max() == 1
    assert gt_map.sum() == 16 + 16 - 4
    assert gt_map[5, 5] == 1
    assert gt_map[6, 6] == 0


@pytest.mark.parametrize(
    ('box', 'area'),
    [
        ([0.5, 0.5, -2.88e16, 0.9], 0),  # VGG-SS has such corners
        ([0.5, 0.5, float('inf'), 2.0], 16),
        ([-3.0, -float('inf'), 0.5, 0.5], 16),
        ([0.3, 0.3, 0.3, 0.3], 0),
        ([1.0, 0.0, 1.0, 1.0], 0),
    ],
)
def test_boxes_outside_the_frame_are_clipped(box, area):
    assert rasterize_boxes([box], size=8).sum() == area


def test_no_box_gives_an_empty_map():
    assert rasterize_boxes([]).sum() == 0
    assert rasterize_boxes(torch.zeros(0, 4)).shape == (224, 224)
    assert rasterize_consensus([]).sum() == 0
    assert rasterize_consensus([[], [[0, 0, 256, 256]]], size=4).mean() == 0.5


@pytest.mark.parametrize(
    'rasterize', [rasterize_boxes, lambda b: rasterize_consensus([b])]
)
def test_bad_boxes_are_refused(rasterize):
    with pytest.raises(DataError, match='no number'):
        rasterize([[0.1, float('nan'), 0.5, 0.5]])
    with pytest.raises(DataError, match=r'\(1, 3\)'):
        rasterize([[0.1, 0.2, 0.3]])


def test_consensus_adds_halves_and_clips():
    annotators = [[56, 36, 116, 224], [[35, 62, 107, 217]], [[54, 0, 116, 230]]]
    expected = np.zeros((224, 224))
    for x1, y1, x2, y2 in [annotators[0], annotators[1][0], annotators[2][0]]:
        x1, y1, x2, y2 = (int(224 * v / 256) for v in (x1, y1, x2, y2))
        expected[y1:y2, x1:x2] += 0.5
    expected = np.minimum(expected, 1)
    gt_map = rasterize_consensus(annotators)
    assert np.array_equal(gt_map.numpy(), expected)
    assert gt_map.unique().tolist() == [0, 0.5, 1]


def test_single_precision_boxes_are_drawn_like_annotations():
    # 13 / 32 and the like are exact; thirds and tenths of a pixel grid are not
    size, side = 48, 10
    boxes = [[k / size, k / size, (k + side) / size, 1] for k in range(0, 38, 3)]
    for box in boxes:
        drawn = rasterize_boxes(torch.tensor([box]).double() + 1e-7, size)
        assert torch.equal(drawn, rasterize_boxes([box], size))
        assert drawn.sum() == side * (size - round(box[1] * size))
