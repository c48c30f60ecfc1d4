"""Loading of trained learners and their test pipelines."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device

from mmxpl.datasets.dataset_wrappers import config_leaves
from mmxpl.engine.resume.compatibility import compare_weights
from mmxpl.models.pretrained import without_init_cfg
from mmxpl.registry import MODELS, TRANSFORMS, register_all_modules
from mmxpl.utils import DataError
from mmxpl.utils.checkpoint import embedded_config, read_checkpoint, refuse_unregistered
from mmxpl.utils.cli import load_config


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
    """Returns a device, such as 'cpu' or 'cuda:1', if it can be used.

    Args:
        name (str | torch.device): The device.

    Returns:
        torch.device: The device.

    Raises:
        DataError: If it cannot be used.
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
    """Lists the GPUs of this machine for an error."""
    return ''.join(f" or 'cuda:{n}'" for n in range(torch.cuda.device_count()))


def clip_pipeline(cfg: Config) -> list[dict]:
    """Returns the test pipeline of a config, without caches and cached features.

    Args:
        cfg (Config): The whole config.

    Returns:
        list[dict]: Configs of the transforms.

    Raises:
        DataError: If the config has no test pipeline.
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
    """Builds the transforms of a pipeline."""
    return [TRANSFORMS.build(step) for step in pipeline]


def _load_weights(learner: torch.nn.Module, state: dict, name: str) -> None:
    """Loads weights and raises a DataError if they do not match the model."""
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
