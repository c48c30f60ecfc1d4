"""From a predicted map to what one asks of it: boxes and a confidence."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmxpl.evaluation.functional import boxes_from_map, map_confidence
from mmxpl.structures import AVDataSample
from mmxpl.utils import DataError
from mmxpl.visualization.heatmap import upsample_map


def choose_map(sample: AVDataSample, localizer: str) -> Tensor:
    """Takes the map of one localizer.

    Args:
        sample (AVDataSample): with ``pred_map``.
        localizer (str): its name, such as 'a' or 'b', or 'ens' for the mean of all.

    Returns:
        Tensor: (1, h, w) in [0, 1].

    Raises:
        DataError: If there is no such localizer.
    """
    names = sorted(sample.pred_map.keys())
    if localizer not in names:
        raise DataError(f'localizer: must be one of {names}, got {localizer!r}.')
    return sample.pred_map.get(localizer)


def describe_map(
    prob: Tensor, size: tuple[int, int], threshold: float = 0.5
) -> dict[str, Any]:
    """Reads boxes and a confidence off a map.

    Args:
        prob (Tensor): (1, h, w) in [0, 1], as the model predicts it.
        size (tuple[int, int]): height and width of the frame, in pixels.
        threshold (float): a pixel belongs to a box if its probability reaches it.
            Defaults to 0.5.

    Returns:
        dict:

        - ``map`` (np.ndarray): float32 of the frame's size, in [0, 1]; the
          prediction resized bilinearly with aligned corners, as the evaluation
          does it.
        - ``bboxes`` (list[list[float]]): x1 y1 x2 y2 normalised to [0, 1], one
          around each connected region of ``map`` that reaches the threshold, the
          one with the highest score first; none if nothing reaches it.
        - ``bboxes_pixels`` (list[list[int]]): the same in pixels of the frame, x2
          and y2 exclusive.
        - ``scores`` (list[float]): highest probability within each region.
        - ``confidence`` (float): how sure the map is that anything sounds: the
          mean of the highest quarter of its pixels at 224 x 224 (SLAVC, Mo &
          Morgado, NeurIPS 2022), see
          :func:`~mmxpl.evaluation.functional.map_confidence`.

    Raises:
        DataError: If the threshold is not in [0, 1].
    """
    if not 0 <= threshold <= 1:
        raise DataError(f'threshold: must be in [0, 1], got {threshold!r}.')
    full = upsample_map(prob, size)
    boxes = boxes_from_map(torch.from_numpy(full), threshold)
    scale = np.array([size[1], size[0], size[1], size[0]])
    pixels = np.rint(boxes.bboxes.double().numpy() * scale).astype(int)
    return dict(
        map=full,
        bboxes=boxes.bboxes.tolist(),
        bboxes_pixels=pixels.tolist(),
        scores=boxes.scores.tolist(),
        confidence=float(map_confidence(prob.reshape(1, *prob.shape[-2:]))[0]),
    )
