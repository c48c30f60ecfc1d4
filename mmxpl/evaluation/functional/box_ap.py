"""Boxes read off maps, and COCO's average precision of boxes."""

import contextlib
import io
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

BOX_MODES = ('components', 'largest', 'tight')

COCO_NAMES = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
"""tuple[str]: the first six of pycocotools' figures, named as in mmdet."""


class MapBoxes(NamedTuple):
    """Boxes read off one map.

    Attributes:
        bboxes (Tensor): (K, 4) float32, x1 y1 x2 y2 normalised to [0, 1], the highest
            score first.
        scores (Tensor): (K,) float32, highest value within the box's region.
    """

    bboxes: Tensor
    scores: Tensor


def boxes_from_map(
    pred: Tensor,
    threshold: float = 0.5,
    mode: str = 'components',
    normalise: bool = False,
    min_area: float = 0.0,
    connectivity: int = 8,
) -> MapBoxes:
    """Finds boxes around the region of a map that reaches a threshold.

    Reading boxes off the connected components of a thresholded map is the way of class
    activation maps (Zhou et al., CVPR 2016; Choe et al., CVPR 2020, who compare
    'largest', normalised by the map's range, over all thresholds). There may be no box.

    Args:
        pred (Tensor): (S, S), finite, at the resolution that boxes should have.
        threshold (float): A pixel belongs to the region if it reaches it.
        mode (str): 'components' gives one box for each connected component, 'largest'
            only that of most pixels, 'tight' one box around all.
        normalise (bool): Bring the map's range to [0, 1] before the threshold; a flat
            map then has no box. Scores stay those of the map itself.
        min_area (float): Components of a smaller share of the frame are left out.
        connectivity (int): 4 or 8 neighbours.
    """
    if mode not in BOX_MODES:
        raise ValueError(f'mode must be one of {BOX_MODES}, got {mode!r}.')
    if connectivity not in (4, 8):
        raise ValueError(f'connectivity must be 4 or 8, got {connectivity!r}.')
    values = pred.detach().cpu().float().numpy()
    region = _region(values, threshold, normalise)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        region, connectivity=connectivity
    )
    # number 0 is the background
    kept = 1 + np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] >= min_area * values.size)
    if mode == 'largest':
        kept = kept[np.argsort(-stats[kept, cv2.CC_STAT_AREA], kind='stable')[:1]]
    corners = stats[kept, :4].astype(np.float64)
    corners[:, 2:] += corners[:, :2]
    scores = np.array([values[labels == k].max() for k in kept])
    if mode == 'tight' and len(kept):
        corners = np.concatenate([corners.min(0)[:2], corners.max(0)[2:]])[None]
        scores = scores.max(keepdims=True)
    order = np.argsort(-scores, kind='stable')
    height, width = values.shape
    boxes = corners[order] / np.array([width, height, width, height])
    return MapBoxes(
        torch.from_numpy(boxes.astype(np.float32)),
        torch.from_numpy(scores[order].astype(np.float32)),
    )


def _region(values: np.ndarray, threshold: float, normalise: bool) -> np.ndarray:
    """Pixels that reach the threshold, uint8."""
    if normalise:
        low, high = values.min(), values.max()
        if low == high:
            return np.zeros(values.shape, np.uint8)
        values = (values - low) / (high - low)
    return (values >= threshold).astype(np.uint8)


def coco_ap(
    predicted: Sequence[tuple[Tensor, Tensor]],
    ground_truth: Sequence[Tensor],
    size: int = 224,
) -> dict[str, float]:
    """Computes COCO's average precision of boxes of one class, 'sounding'.

    ``pycocotools.cocoeval.COCOeval`` of type 'bbox', the same numbers as
    ``mmdet.CocoMetric`` gives. Areas of 32 and 96 pixels squared divide
    small, medium and large. Among equal scores the earlier image comes first.

    Args:
        predicted (Sequence): For each image the boxes (P, 4), x1 y1 x2 y2
            normalised to [0, 1], and their scores (P,), such as :class:`MapBoxes`.
        ground_truth (Sequence): For each image the boxes (K, 4); K may be 0.
        size (int): Side of the frame in pixels.

    Returns:
        dict[str, float]: In [0, 1] under the names of :data:`COCO_NAMES`; -1, as
        COCO has it, where there is no box to be found.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO()
    annotated = [
        (image, box)
        for image, boxes in enumerate(ground_truth)
        for box in _to_xywh(boxes, size)
    ]
    truth.dataset = dict(
        info={},
        images=[dict(id=i, width=size, height=size) for i in range(len(ground_truth))],
        categories=[dict(id=0, name='sounding')],
        annotations=[
            dict(
                id=number,  # pycocotools takes 0 for unmatched
                image_id=image,
                category_id=0,
                bbox=box,
                area=box[2] * box[3],
                iscrowd=0,
            )
            for number, (image, box) in enumerate(annotated, start=1)
        ],
    )
    found = [
        dict(image_id=image, category_id=0, bbox=box, score=float(score))
        for image, (boxes, scores) in enumerate(predicted)
        for box, score in zip(_to_xywh(boxes, size), scores, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        if found:
            detections = truth.loadRes(found)
        else:  # which loadRes cannot read
            detections = COCO()
            detections.dataset = dict(truth.dataset, annotations=[])
            detections.createIndex()
        evaluation = COCOeval(truth, detections, 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(COCO_NAMES, evaluation.stats.tolist(), strict=False))


def _to_xywh(boxes: Tensor, size: int) -> list[list[float]]:
    """Normalised corners (K, 4) to corner, width and height in pixels."""
    corners = np.asarray(boxes, np.float64).reshape(-1, 4) * size
    corners[:, 2:] -= corners[:, :2]
    return corners.tolist()
