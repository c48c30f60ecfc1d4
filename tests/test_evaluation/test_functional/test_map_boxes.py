import numpy as np
import pytest
import torch

from mmxpl.evaluation.functional import boxes_from_map


def two_blobs():
    pred = torch.zeros(10, 20)
    pred[1:4, 2:8] = 0.7  # 18 pixels
    pred[2, 3] = 0.8
    pred[6:8, 15:20] = 0.9  # 10 pixels
    return pred


def slow_components(region, diagonal):
    """Flood fill; boxes as x1 y1 x2 y2 in pixels with their pixels."""
    region, found = region.copy(), []
    steps = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    steps = [s for s in steps if diagonal or 0 in s]
    while region.any():
        queue = [tuple(np.argwhere(region)[0])]
        region[queue[0]] = False
        for y, x in queue:
            for dy, dx in steps:
                at = (y + dy, x + dx)
                inside = 0 <= at[0] < region.shape[0] and 0 <= at[1] < region.shape[1]
                if inside and region[at]:
                    region[at] = False
                    queue.append(at)
        ys, xs = np.array(queue).T
        found.append(((xs.min(), ys.min(), xs.max() + 1, ys.max() + 1), queue))
    return found


@pytest.mark.parametrize('connectivity', [4, 8])
def test_components_against_a_flood_fill(connectivity):
    pred = torch.rand(16, 16, generator=torch.Generator().manual_seed(0))
    boxes, scores = boxes_from_map(pred, 0.6, connectivity=connectivity)
    expected = slow_components(pred.numpy() >= 0.6, connectivity == 8)
    assert len(boxes) == len(expected) > 3
    assert (scores.diff() <= 0).all()
    found = {
        (tuple(b), s)
        for b, s in zip((boxes * 16).tolist(), scores.tolist(), strict=True)
    }
    assert found == {
        (tuple(map(float, box)), max(pred[at].item() for at in queue))
        for box, queue in expected
    }


def test_modes():
    boxes, scores = boxes_from_map(two_blobs())
    blob, other = [0.1, 0.1, 0.4, 0.4], [0.75, 0.6, 1, 0.8]
    torch.testing.assert_close(boxes, torch.tensor([other, blob]))
    torch.testing.assert_close(scores, torch.tensor([0.9, 0.8]))
    boxes, scores = boxes_from_map(two_blobs(), mode='largest')
    torch.testing.assert_close(boxes, torch.tensor([blob]))
    torch.testing.assert_close(scores, torch.tensor([0.8]))
    boxes, scores = boxes_from_map(two_blobs(), mode='tight')
    torch.testing.assert_close(boxes, torch.tensor([[0.1, 0.1, 1, 0.8]]))
    torch.testing.assert_close(scores, torch.tensor([0.9]))


def test_small_components_are_left_out():
    boxes, _ = boxes_from_map(two_blobs(), min_area=0.06)
    torch.testing.assert_close(boxes, torch.tensor([[0.1, 0.1, 0.4, 0.4]]))
    for mode in ('components', 'largest', 'tight'):
        boxes, scores = boxes_from_map(two_blobs(), mode=mode, min_area=0.5)
        assert boxes.shape == (0, 4)
        assert scores.shape == (0,)


def test_normalised_threshold():
    pred = 0.2 * two_blobs()
    assert len(boxes_from_map(pred).bboxes) == 0
    boxes, scores = boxes_from_map(pred, normalise=True)
    assert len(boxes) == 2
    torch.testing.assert_close(scores, torch.tensor([0.18, 0.16]))
    assert len(boxes_from_map(torch.full((4, 4), 0.7), normalise=True).bboxes) == 0


def test_whole_frame_and_nothing():
    boxes, scores = boxes_from_map(torch.full((6, 6), 0.5))
    assert boxes.tolist() == [[0, 0, 1, 1]]
    assert scores.tolist() == [0.5]
    assert len(boxes_from_map(torch.zeros(6, 6)).bboxes) == 0


def test_unknown_options():
    with pytest.raises(ValueError, match='mode must be one of'):
        boxes_from_map(torch.zeros(4, 4), mode='all')
    with pytest.raises(ValueError, match='4 or 8'):
        boxes_from_map(torch.zeros(4, 4), connectivity=6)
