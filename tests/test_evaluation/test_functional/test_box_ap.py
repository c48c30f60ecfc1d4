import numpy as np
import pytest
import torch

from mmxpl.compat import ensure_mmcv_ops
from mmxpl.evaluation.functional import COCO_NAMES, boxes_from_map, coco_ap


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


def random_boxes(count=14, seed=0):
    """Detections of varying quality, several or none an image."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for i in range(count):
        corner = rng.random((1 + i % 3, 2)) * 0.4
        boxes = np.concatenate([corner, corner + 0.1 + rng.random(corner.shape) / 2], 1)
        shifted = boxes + rng.normal(0, 0.03, boxes.shape)
        shifted = np.concatenate([shifted, rng.random((i % 2, 4)) @ np.eye(4)])
        shifted[:, 2:] = np.maximum(shifted[:, 2:], shifted[:, :2] + 0.01)
        truth.append(boxes.astype(np.float32))
        scores = rng.random(len(shifted)).round(1)  # with ties
        found.append((shifted.astype(np.float32), scores.astype(np.float32)))
    truth[3] = np.zeros((0, 4), np.float32)  # nothing sounds
    found[5] = (np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    return found, truth


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    overlap = max(width, 0) * max(height, 0)
    area = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return overlap / (sum(area) - overlap)


def slow_ap(found, truth, threshold):
    """Greedy matching by score, precision interpolated at 101 recalls."""
    taken = [set() for _ in truth]
    entries = [
        (-float(s), i, n)
        for i, (_, scores) in enumerate(found)
        for n, s in enumerate(scores)
    ]
    hits = []
    for _, i, n in sorted(entries):
        best, match = threshold, None
        for k, box in enumerate(truth[i]):
            overlap = iou(np.float64(found[i][0][n]), np.float64(box))
            if k not in taken[i] and overlap >= best:
                best, match = overlap, k
        hits.append(match is not None)
        taken[i].add(match)
    hits = np.array(hits)
    recall = hits.cumsum() / sum(map(len, truth))
    precision = hits.cumsum() / np.arange(1, len(hits) + 1)
    levels = np.linspace(0, 1, 101)
    return np.mean([precision[recall >= r].max(initial=0) for r in levels])


def test_against_the_definition():
    found, truth = random_boxes()
    scores = coco_ap(found, truth)
    assert tuple(scores) == COCO_NAMES
    assert scores['mAP_50'] == pytest.approx(slow_ap(found, truth, 0.5), abs=1e-9)
    assert scores['mAP_75'] == pytest.approx(slow_ap(found, truth, 0.75), abs=1e-9)
    grid = np.linspace(0.5, 0.95, 10)
    expected = np.mean([slow_ap(found, truth, t) for t in grid])
    assert scores['mAP'] == pytest.approx(expected, abs=1e-9)
    assert 0.2 < scores['mAP_50'] < 0.95


def test_perfect_boxes_and_sizes():
    truth = [np.array([[0, 0, 0.1, 0.1]]), np.array([[0.1, 0.1, 0.9, 0.9]])]
    found = [(boxes, np.ones(1)) for boxes in truth]
    scores = coco_ap(found, truth)
    assert scores['mAP'] == pytest.approx(1)
    assert scores['mAP_s'] == pytest.approx(1)
    assert scores['mAP_m'] == -1
    assert scores['mAP_l'] == pytest.approx(1)


def test_nothing_found_or_nothing_to_find(capsys):
    none = (np.zeros((0, 4)), np.zeros(0))
    some = np.array([[0.1, 0.1, 0.5, 0.5]])
    assert coco_ap([none], [some])['mAP'] == 0
    assert coco_ap([(some, np.ones(1))], [np.zeros((0, 4))])['mAP'] == -1
    assert coco_ap([none], [np.zeros((0, 4))])['mAP'] == -1
    assert capsys.readouterr().out == ''


@pytest.mark.slow  # importing mmdet takes long
def test_same_as_mmdet():
    ensure_mmcv_ops()
    from mmdet.evaluation import CocoMetric

    size = 224
    found, truth = random_boxes()
    metric = CocoMetric()
    metric.dataset_meta = dict(classes=('sounding',))
    for i, ((boxes, scores), gt) in enumerate(zip(found, truth, strict=True)):
        sample = dict(
            img_id=i,
            ori_shape=(size, size),
            instances=[
                dict(bbox=(b * size).tolist(), bbox_label=0) for b in np.float64(gt)
            ],
            pred_instances=dict(
                bboxes=torch.from_numpy(np.float64(boxes) * size),
                scores=torch.from_numpy(scores),
                labels=torch.zeros(len(boxes), dtype=torch.long),
            ),
        )
        metric.process({}, [sample])
    theirs = metric.evaluate(len(truth))
    for name, value in coco_ap(found, truth, size).items():
        # mmdet rounds to three digits
        assert theirs[f'coco/bbox_{name}'] == pytest.approx(value, abs=5.1e-4), name
