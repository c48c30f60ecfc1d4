import numpy as np
import pytest
import torch

from mmxpl.compat import ensure_mmcv_ops
from mmxpl.evaluation.functional import COCO_NAMES, coco_ap


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
