"""Methods that begin alike begin once."""

import copy
from collections.abc import Hashable, Mapping
from pathlib import Path

import torch
from mmengine.config import Config

from mmxpl.engine.hooks.area_calibration_hook import take_back
from mmxpl.engine.schedules import count_warmup_epochs
from mmxpl.utils.checkpoint import read_checkpoint

from .methods import SETTINGS

# hooks that do nothing before the first pseudo-label, or to no weight
_WITHOUT_EFFECT = (
    'pseudo_label',
    'pseudo_label_strip',
    'pseudo_label_monitor',
    'calibration',
    'checkpoint',
)


def warm_up_epochs(cfg: Config) -> int:
    """Epochs of a config before the first pseudo-label.

    Args:
        cfg (Config): config of a training.

    Returns:
        int: the warm-up; all epochs, where there are no pseudo-labels.
    """
    if cfg.default_hooks.get('pseudo_label') is None:
        return cfg.train_cfg.max_epochs
    return count_warmup_epochs(
        cfg.train_cfg.get('warmup_epochs', 0), cfg.train_cfg.max_epochs
    )


def can_lend(lender: Config, borrower: Config) -> bool:
    """Tells whether a training's warm-up can serve another.

    It can if the two differ in pseudo-labels, their loss, the curriculum and the
    calibration of what is saved alone, which have no effect before the lender's
    first label, and if the lender's checkpoint has what the borrower resumes from.

    Args:
        lender (Config): config of a training, seed and split included.
        borrower (Config): of another.

    Returns:
        bool: whether it can.
    """
    begins = warm_up_epochs(lender)
    if begins >= lender.train_cfg.max_epochs or begins > warm_up_epochs(borrower):
        return False
    if _aligns(borrower) and not _aligns(lender):
        return False
    return _beginning(lender) == _beginning(borrower)


def find_lenders(configs: Mapping[Hashable, Config]) -> dict[Hashable, Hashable]:
    """Chooses who lends a warm-up to whom; a lender does not borrow.

    Args:
        configs (Mapping[Hashable, Config]): config of every training.

    Returns:
        dict[Hashable, Hashable]: borrower to lender.
    """
    # who keeps the area of the annotations can lend to those who do not, too
    order = sorted(configs, key=lambda name: not _aligns(configs[name]))
    lenders: dict[Hashable, Hashable] = {}
    for k, name in enumerate(order):
        for other in order[:k]:
            if other not in lenders and can_lend(configs[other], configs[name]):
                lenders[name] = other
                break
    return lenders


def _aligns(cfg: Config) -> bool:
    """Whether a config's labels are kept at the area of the annotations."""
    hook = cfg.default_hooks.get('pseudo_label') or {}
    return hook.get('align_area', False)


def _beginning(cfg: Config) -> dict:
    """What a config does before there are pseudo-labels."""
    kept = copy.deepcopy(cfg._cfg_dict.to_dict())
    for name in _WITHOUT_EFFECT:
        kept['default_hooks'].pop(name, None)
    kept['train_cfg'].pop('warmup_epochs', None)
    kept['model'].pop('loss_pseudo', None)
    kept['train_dataloader']['sampler'].pop('curriculum', None)
    return {key: kept.get(key) for key in SETTINGS}


def share_warm_start(checkpoint: Path, folder: Path) -> None:
    """Puts a checkpoint where a training in a folder resumes from.

    A folder with a checkpoint of its own is left as it is. The teacher of a
    method that has one does not exist before the warm-up's end, which its entry
    says. Thresholds are those of the training, whatever is saved in their place.

    Args:
        checkpoint (Path): written at the end of the warm-up.
        folder (Path): work directory of the training.
    """
    if (folder / 'last_checkpoint').exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    state = read_checkpoint(str(checkpoint), 'cpu')
    state.setdefault('teacher', None)
    take_back(state)
    target = folder / checkpoint.name
    torch.save(state, target)
    (folder / 'last_checkpoint').write_text(str(target))
