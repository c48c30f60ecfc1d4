"""Predictions as files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from mmxpl.engine.hooks.visualization_hook import safe_name
from mmxpl.utils import DataError
from mmxpl.visualization import write_picture


class ResultWriter:
    """Writes results below a folder, each file once.

    Args:
        folder (str): the folder.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def picture(self, sample_id: str, picture: np.ndarray) -> None:
        """Writes ``vis/ID.png``.

        Args:
            sample_id (str): name of the pair.
            picture (np.ndarray): RGB uint8 of shape (H, W, 3).

        Raises:
            DataError: If the file exists.
        """
        write_picture(picture, self._path('vis', sample_id, 'png'))

    def prediction(self, result: Mapping[str, Any], prob: Tensor) -> None:
        """Writes ``preds/ID.json`` and ``maps/ID.npy``.

        Args:
            result (Mapping[str, Any]): dict of a prediction.
            prob (Tensor): its map as predicted, (1, h, w).

        Raises:
            DataError: If a file exists.
        """
        name = result['sample_id']
        path = self._path('preds', name, 'json')
        path.write_text(json.dumps(without_map(result), indent=2) + '\n')
        np.save(self._path('maps', name, 'npy'), prob[0].float().numpy())

    def _path(self, kind: str, sample_id: str, suffix: str) -> Path:
        """Names a file that does not exist yet."""
        path = self.folder / kind / f'{safe_name(sample_id)}.{suffix}'
        if path.exists():
            raise DataError(
                f'{path}: exists already and is not overwritten. Name another folder, '
                'or give files of different names.'
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def without_map(result: Mapping[str, Any]) -> dict[str, Any]:
    """Leaves out the map of a prediction, so that JSON can hold the rest.

    Args:
        result (Mapping[str, Any]): dict of a prediction.

    Returns:
        dict: All but ``map``.
    """
    return {key: value for key, value in result.items() if key != 'map'}
