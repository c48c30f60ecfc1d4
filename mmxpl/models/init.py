"""Checks of the pretrained weights that a learner starts from."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from mmxpl.utils import DataError

_LOADED = 'PretrainedInit'


class PretrainedError(DataError):
    """Error of pretrained weights that could not be loaded."""


def pretrained_parts(model: nn.Module) -> Iterator[tuple[str, nn.Module, str]]:
    """Finds the modules that start from a checkpoint.

    Args:
        model (nn.Module): the learner.

    Yields:
        tuple[str, nn.Module, str]: dotted name, module and checkpoint of each
        ``init_cfg=dict(type='Pretrained', checkpoint=...)``.
    """
    for name, module in model.named_modules():
        cfgs = getattr(module, 'init_cfg', None) or ()
        for cfg in [cfgs] if isinstance(cfgs, dict) else cfgs:
            if cfg['type'] == 'Pretrained':
                yield name, module, cfg['checkpoint']


def without_init_cfg(cfg: Any) -> Any:
    """Removes ``init_cfg``, for a model whose weights are loaded.

    Args:
        cfg (Any): config of a model, or a part of one.

    Returns:
        Any: a copy without ``init_cfg`` at any depth.
    """
    if isinstance(cfg, Mapping):
        return {k: without_init_cfg(v) for k, v in cfg.items() if k != 'init_cfg'}
    if isinstance(cfg, list | tuple):
        return type(cfg)(without_init_cfg(part) for part in cfg)
    return cfg


def explain(model: nn.Module, error: Exception) -> PretrainedError:
    """Explains why a checkpoint could not be loaded.

    Args:
        model (nn.Module): the learner.
        error (Exception): error of its initialisation.

    Returns:
        PretrainedError: an error with module, checkpoint and remedies.
    """
    parts = list(pretrained_parts(model))
    failed = [part for part in parts if _is_missing(part[2])] or parts
    named = ', '.join(f"{name} from '{file}'" for name, _, file in failed)
    reason = (str(error) or repr(error)).splitlines()[0].rstrip('.')
    return PretrainedError(
        f'pretrained weights cannot be loaded ({named}): {reason}. Without a network '
        'download the file elsewhere and name it in init_cfg.checkpoint (for '
        'xpl_r18.py: MMXPL_RESNET18=FILE in the environment), or set init_cfg to None '
        'to train from scratch (MMXPL_RESNET18=none).'
    )


def check_loaded(model: nn.Module, init_info: dict) -> None:
    """Checks that every checkpoint was loaded into the module that names it.

    Args:
        model (nn.Module): the learner.
        init_info (dict): MMEngine's record of how each parameter was initialised.

    Raises:
        PretrainedError: If no weight of a checkpoint fits.
    """
    for name, module, file in pretrained_parts(model):
        infos = [init_info[p]['init_info'] for p in module.parameters()]
        if not any(info.startswith(_LOADED) for info in infos):
            raise PretrainedError(
                f"'{file}' holds no weights for {name}: none of its {len(infos)} "
                "parameters was found. Is it another network's? A part of a detector "
                "needs init_cfg.prefix, such as 'backbone.'."
            )


def _is_missing(file: str) -> bool:
    """Tells whether a checkpoint is a local file that does not exist."""
    return '://' not in file and not Path(file).expanduser().is_file()
