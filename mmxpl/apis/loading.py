"""A trained learner from its config and checkpoint."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device

from mmxpl.datasets.dataset_wrappers import config_leaves
from mmxpl.engine.resume.compatibility import compare_weights
from mmxpl.models.init import without_init_cfg
from mmxpl.registry import MODELS, TRANSFORMS
from mmxpl.utils import DataError
from mmxpl.utils.checkpoint import embedded_config, read_checkpoint, refuse_unregistered
from mmxpl.utils.cli import load_config
from mmxpl.utils.setup_env import register_all_modules


def load_learner(
    checkpoint: str | Path,
    config: str | Path | Mapping[str, Any] | None = None,
    device: str | torch.device | None = None,
) -> tuple[torch.nn.Module, Config]:
    """Builds a learner and loads its weights, for inference.

    The checkpoint is read with ``weights_only=True``. The config in it is parsed,
    never run, and may build registered types alone; see
    :mod:`mmxpl.utils.checkpoint`.

    Args:
        checkpoint (str | Path): the file.
        config (str | Path | Mapping, optional): config file or config. Defaults to
            the one in the checkpoint.
        device (str | torch.device, optional): Defaults to a GPU if there is one.

    Returns:
        tuple[nn.Module, Config]: The learner, in eval mode on the device, and the
        config.

    Raises:
        DataError: If a file cannot be used, or if the two do not belong together.
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
    # weights are the checkpoint's, wherever those of the training began
    cfg.model = without_init_cfg(cfg.model)
    if config is None:
        refuse_unregistered([cfg.model, clip_pipeline(cfg)], name)
    learner = MODELS.build(cfg.model)
    _load_weights(learner, state, name)
    return learner.to(device).eval(), cfg


def check_device(name: str | torch.device) -> torch.device:
    """Looks whether a device is there.

    Args:
        name (str | torch.device): such as 'cpu' or 'cuda:1'.

    Returns:
        torch.device: The device.

    Raises:
        DataError: If it is not.
    """
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # no such GPU, built without CUDA
        raise DataError(
            f"device '{name}' cannot be used ({str(error).splitlines()[0]}). Name "
            f"'cpu'{_gpus()}."
        ) from error
    return device


def _gpus() -> str:
    """Names the GPUs of this machine, after 'cpu'."""
    return ''.join(f" or 'cuda:{n}'" for n in range(torch.cuda.device_count()))


def clip_pipeline(cfg: Config) -> list[dict]:
    """Finds the steps that test clips go through.

    Args:
        cfg (Config): a whole config.

    Returns:
        list[dict]: Their configs, without caches: other clips are to be read.

    Raises:
        DataError: If the config has none.
    """
    for leaf in config_leaves(cfg.test_dataloader):
        if leaf.get('pipeline'):
            steps = []
            for step in leaf['pipeline']:
                read_features = step['type'].split('.')[-1] == 'LoadFeatures'
                steps += [step['frame'], step['audio']] if read_features else [step]
            return [
                {key: value for key, value in step.items() if key != 'cache'}
                for step in steps
            ]
    raise DataError('test_dataloader: the config has no data set with a pipeline.')


def build_steps(pipeline: list[dict]) -> list[Any]:
    """Builds the steps of a pipeline.

    Args:
        pipeline (list[dict]): their configs.

    Returns:
        list[BaseTransform]: The steps.
    """
    return [TRANSFORMS.build(step) for step in pipeline]


def _load_weights(learner: torch.nn.Module, state: dict, name: str) -> None:
    """Loads weights that must fit."""
    weights = state.get('state_dict', state)
    if not isinstance(weights, Mapping):
        raise DataError(f"checkpoint '{name}' holds no weights. Name another.")
    mismatch = compare_weights(learner.state_dict(), weights)
    if any(mismatch):
        raise DataError(
            f"checkpoint '{name}' belongs to another model than the config builds: "
            f'{mismatch}. Use the config that it was trained with.'
        )
    learner.load_state_dict(
        {re.sub(r'^module\.', '', key): value for key, value in weights.items()}
    )
