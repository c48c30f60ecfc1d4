"""Loading of trained learners, and the boxes, confidence and files of their maps."""

import json
import re
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from torch import Tensor

from mmxpl.datasets.dataset_wrappers import config_leaves, media_pipeline
from mmxpl.engine.hooks.visualization_hook import safe_name
from mmxpl.engine.resume.checkpoint_guard import compare_weights, name_mismatch
from mmxpl.evaluation.functional import boxes_from_map, map_confidence
from mmxpl.models.pretrained import without_init_cfg
from mmxpl.registry import MODELS, register_all_modules
from mmxpl.structures import AVDataSample
from mmxpl.utils import DataError
from mmxpl.utils.checkpoint import embedded_config, read_checkpoint, refuse_unregistered
from mmxpl.utils.cli import load_config
from mmxpl.utils.files import write_array, write_result
from mmxpl.visualization import write_picture
from mmxpl.visualization.drawing import upsample_map


def load_learner(
    checkpoint: str | Path,
    config: str | Path | Mapping[str, Any] | None = None,
    device: str | torch.device | None = None,
) -> tuple[torch.nn.Module, Config]:
    """Builds a learner and loads its weights for inference.

    The checkpoint is read with ``weights_only=True``. Its config is parsed, not
    executed, and can only name registered types; see :mod:`mmxpl.utils.checkpoint`.

    Args:
        checkpoint (str | Path): Checkpoint file.
        config (str | Path | Mapping, optional): Config or its file; by default the
            config in the checkpoint.
        device (str | torch.device, optional): Device; by default a GPU if there is
            one.

    Returns:
        tuple[nn.Module, Config]: The learner, in evaluation mode on the device, and
        its config.

    Raises:
        DataError: If a file cannot be used, or config and checkpoint do not match.
    """
    device = check_device(device or get_device())
    register_all_modules(init_default_scope=False)
    name = str(checkpoint)
    if isinstance(config, str | Path):
        cfg = load_config(str(config))
    elif config is not None:
        cfg = Config(dict(config))
    state = read_checkpoint(name, 'cpu')
    if config is None:
        cfg = embedded_config(state, name)
    for key in ('model', 'test_dataloader'):
        if not isinstance(cfg.get(key), Mapping):
            raise DataError(
                f'{name if config is None else config}: the config has no {key}. Name '
                'the config that the checkpoint was trained with.'
            )
    # the weights come from the checkpoint, whatever the training started from
    cfg.model = without_init_cfg(cfg.model)
    if config is None:
        refuse_unregistered([cfg.model, clip_pipeline(cfg)], name)
    learner = MODELS.build(cfg.model)
    _load_weights(learner, state, name)
    return learner.to(device).eval(), cfg


def check_device(name: str | torch.device) -> torch.device:
    """Returns a device, such as 'cpu' or 'cuda:1', that can be used."""
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # no such GPU, built without CUDA
        gpus = ''.join(f" or 'cuda:{n}'" for n in range(torch.cuda.device_count()))
        raise DataError(
            f"device '{name}' cannot be used ({str(error).splitlines()[0]}). Name "
            f"'cpu'{gpus}."
        ) from error
    return device


def clip_pipeline(cfg: Config) -> list[dict]:
    """Returns the test pipeline, which a config must have, without caches."""
    for leaf in config_leaves(cfg.test_dataloader):
        if leaf.get('pipeline'):
            return media_pipeline(leaf['pipeline'])
    raise DataError('test_dataloader: the config has no data set with a pipeline.')


def _load_weights(learner: torch.nn.Module, state: dict, name: str) -> None:
    """Loads weights and raises a DataError if they do not match the model."""
    weights = state.get('state_dict', state)
    if not isinstance(weights, Mapping):
        raise DataError(f"checkpoint '{name}' holds no weights. Name another.")
    mismatch = name_mismatch(compare_weights(learner.state_dict(), weights))
    if mismatch:
        raise DataError(
            f"checkpoint '{name}' belongs to another model than the config builds: "
            f'{mismatch}. Use the config that it was trained with.'
        )
    learner.load_state_dict(
        {re.sub(r'^module\.', '', key): value for key, value in weights.items()}
    )


def choose_map(sample: AVDataSample, localizer: str) -> Tensor:
    """Returns the map (1, h, w) of a localizer, or of 'ens', the ensemble."""
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
    if not isinstance(threshold, Real) or not 0 <= threshold <= 1:
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
    """Writes predictions below a folder; a file that exists is a DataError."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def picture(self, sample_id: str, picture: np.ndarray) -> None:
        """Writes ``vis/ID.png`` of a picture, RGB uint8 (H, W, 3)."""
        write_picture(picture, self._path('vis', sample_id, 'png'))

    def prediction(self, result: Mapping[str, Any], prob: Tensor) -> None:
        """Writes ``preds/ID.json`` and ``maps/ID.npy`` of a prediction.

        ``result`` is that of :func:`describe_map`, ``prob`` the map (1, h, w).
        """
        name = result['sample_id']
        path = self._path('preds', name, 'json')
        write_result(path, json.dumps(without_map(result), indent=2) + '\n')
        write_array(self._path('maps', name, 'npy'), prob[0].float().numpy())

    def _path(self, kind: str, sample_id: str, suffix: str) -> Path:
        path = self.folder / kind / f'{safe_name(sample_id)}.{suffix}'
        if path.exists():
            raise DataError(
                f'{path}: exists already and is not overwritten. Name another folder, '
                'or give files of different names, or AVInput(sample_id=...).'
            )
        return path


def without_map(result: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a prediction without its map, as JSON can hold it."""
    return {key: value for key, value in result.items() if key != 'map'}
