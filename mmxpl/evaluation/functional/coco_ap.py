"""COCO's average precision of boxes, by pycocotools."""

import contextlib
import io
from collections.abc import Sequence

import numpy as np

COCO_NAMES = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
"""tuple[str]: the first of pycocotools' twelve figures, named as in mmdet."""


def coco_ap(
    predicted: Sequence[tuple[np.ndarray, np.ndarray]],
    ground_truth: Sequence[np.ndarray],
    size: int = 224,
) -> dict[str, float]:
    """Average precision of boxes of one class, 'sounding'.

    ``pycocotools.cocoeval.COCOeval`` of type 'bbox', the same numbers as
    ``mmdet.CocoMetric`` gives. Small, medium and large are divided at 32 and 96
    pixels squared of a frame of ``size``. In a tie of scores the earlier image
    comes first.

    Args:
        predicted (Sequence): For each image the boxes (P, 4), x1 y1 x2 y2
            normalised to [0, 1], and their scores (P,).
        ground_truth (Sequence): For each image the boxes (K, 4); K may be 0.
        size (int): Side of the frame in pixels. Defaults to 224.

    Returns:
        dict[str, float]: In [0, 1] under the names of :data:`COCO_NAMES`; -1, as
        COCO has it, where there is no box to be found.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, found = COCO(), []
    annotations = []
    for image, boxes in enumerate(ground_truth):
        for box in _to_xywh(boxes, size):
            annotations.append(
                dict(
                    id=len(annotations) + 1,  # pycocotools takes 0 for unmatched
                    image_id=image,
                    category_id=0,
                    bbox=box,
                    area=box[2] * box[3],
                    iscrowd=0,
                )
            )
    truth.dataset = dict(
        info={},
        images=[dict(id=i, width=size, height=size) for i in range(len(ground_truth))],
        categories=[dict(id=0, name='sounding')],
        annotations=annotations,
    )
    for image, (boxes, scores) in enumerate(predicted):
        found += [
            dict(image_id=image, category_id=0, bbox=box, score=float(score))
            for box, score in zip(_to_xywh(boxes, size), scores, strict=True)
        ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        detections = truth.loadRes(found) if found else _no_detections(truth)
        evaluation = COCOeval(truth, detections, 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(COCO_NAMES, evaluation.stats.tolist(), strict=False))


def _no_detections(truth):
    """Results without a box, which pycocotools' loadRes cannot read."""
    from pycocotools.coco import COCO

    detections = COCO()
    detections.dataset = dict(truth.dataset, annotations=[])
    detections.createIndex()
    return detections


def _to_xywh(boxes: np.ndarray, size: int) -> list[list[float]]:
    """Normalised corners (K, 4) to corner, width and height in pixels."""
    corners = np.asarray(boxes, np.float64).reshape(-1, 4) * size
    corners[:, 2:] -= corners[:, :2]
    return corners.tolist()
