"""Boxes, confidence and files of a predicted map."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmxpl.engine.hooks.visualization_hook import safe_name
from mmxpl.evaluation.functional import boxes_from_map, map_confidence
from mmxpl.structures import AVDataSample
from mmxpl.utils import DataError
from mmxpl.visualization import write_picture
from mmxpl.visualization.heatmap import upsample_map


def choose_map(sample: AVDataSample, localizer: str) -> Tensor:
    """Returns the map of one localizer.

    Args:
        sample (AVDataSample): Sample with ``pred_map``.
        localizer (str): Its name, such as 'a', or 'ens' for the ensemble.

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
    """Derives boxes and a confidence from a map.

    Args:
        prob (Tensor): Predicted map (1, h, w) in [0, 1].
        size (tuple[int, int]): Height and width of the frame in pixels.
        threshold (float): Probability from which on a pixel belongs to a box.

    Returns:
        dict:

        - ``map`` (np.ndarray): float32 of the frame's size, in [0, 1]; the
          prediction resized bilinearly with aligned corners, as in the evaluation.
        - ``bboxes`` (list[list[float]]): x1 y1 x2 y2 in [0, 1], one for each
          connected region of ``map`` that reaches the threshold, by descending
          score.
        - ``bboxes_pixels`` (list[list[int]]): The same in pixels of the frame, x2
          and y2 exclusive.
        - ``scores`` (list[float]): Highest probability in each region.
        - ``confidence`` (float): Mean of the highest quarter of the pixels at
          224 x 224 (SLAVC, Mo & Morgado, NeurIPS 2022), see
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


class ResultWriter:
    """Writes predictions below a folder, never over a file.

    Args:
        folder (str): The folder.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def picture(self, sample_id: str, picture: np.ndarray) -> None:
        """Writes ``vis/ID.png``.

        Args:
            sample_id (str): Name of the pair.
            picture (np.ndarray): RGB uint8 (H, W, 3).

        Raises:
            DataError: If the file exists.
        """
        write_picture(picture, self._path('vis', sample_id, 'png'))

    def prediction(self, result: Mapping[str, Any], prob: Tensor) -> None:
        """Writes ``preds/ID.json`` and ``maps/ID.npy``.

        Args:
            result (Mapping[str, Any]): Prediction, see :func:`describe_map`.
            prob (Tensor): Predicted map (1, h, w).

        Raises:
            DataError: If a file exists.
        """
        name = result['sample_id']
        path = self._path('preds', name, 'json')
        path.write_text(json.dumps(without_map(result), indent=2) + '\n')
        np.save(self._path('maps', name, 'npy'), prob[0].float().numpy())

    def _path(self, kind: str, sample_id: str, suffix: str) -> Path:
        """Returns the path of a new file."""
        path = self.folder / kind / f'{safe_name(sample_id)}.{suffix}'
        if path.exists():
            raise DataError(
                f'{path}: exists already and is not overwritten. Name another folder, '
                'or give files of different names.'
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def without_map(result: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a prediction without its map, as JSON can hold it."""
    return {key: value for key, value in result.items() if key != 'map'}
