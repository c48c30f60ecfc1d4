"""Methods of a comparison, their settings, and warm-ups that several share."""

import copy
from argparse import ArgumentParser
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmxpl.engine.optim import count_warmup_epochs
from mmxpl.utils import config_overrides as config_files
from mmxpl.utils.cli import add_config_options, load_config
from mmxpl.utils.errors import DataError
from mmxpl.utils.nested import walk

FULL = 'full'
"""str: name of the method that is trained on all clips with their labels."""
_FULL_OVERLAY, _FULL_TITLE = 'supcon', '100 % labels'

# parts of a config that a training depends on
_SETTINGS = (
    'model',
    'optim_wrapper',
    'param_scheduler',
    'randomness',
    'train_cfg',
    'train_dataloader',
    'custom_hooks',
    'default_hooks',
)
# where data lie, which may be moved
_PLACES = {'data_root', 'cache'}
# hooks that do nothing before the first pseudo-label, or change no weight
_WITHOUT_EFFECT = (
    'pseudo_label',
    'pseudo_label_strip',
    'pseudo_label_monitor',
    'calibration',
    'checkpoint',
)


@dataclass(frozen=True)
class Method:
    """A row of a comparison."""

    overlay: str  # name or file of a method, see config_overrides.apply_method
    options: Mapping[str, Any] = field(default_factory=dict)  # --cfg-options
    changes: tuple[str, ...] = ()  # the same, as they were written
    full: bool = False  # whether all clips are labeled, at any labeled fraction

    def read(self, config: Path) -> Config:
        """Reads a config file of XPL with the method's overlay, without its options."""
        return load_config(str(config), method=self.overlay)

    def title(self, cfg: Config) -> str:
        """Returns the title in tables; ``cfg`` is from :meth:`read`."""
        return ', '.join([_FULL_TITLE if self.full else cfg.method, *self.changes])


def find_method(name: str) -> Method:
    """Finds a method; a DataError says that there is none.

    ``name`` is 'full', or name or file of a method; followed by any number of plus
    signs, each with a key of the config and its value as after ``--cfg-options``, such
    as ``xpl+default_hooks.pseudo_label.temperature=0.25``.
    """
    base, *changes = name.split('+')
    overlay = _FULL_OVERLAY if base == FULL else base
    config_files.find_method(overlay)
    options = {}
    for change in changes:
        if '=' not in change:
            raise DataError(
                f"method '{name}': after a plus sign comes a key of the config and its "
                f"value, 'key=value', got '{change}'."
            )
    if changes:
        parser = ArgumentParser()
        add_config_options(parser)
        options = parser.parse_args(['--cfg-options', *changes]).cfg_options
    return Method(overlay, options, tuple(changes), base == FULL)


def options_of(
    method: Method, cfg: Config, labeled: float | None, seed: int, processes: int = 1
) -> dict[str, Any]:
    """Makes the options that give a method's config a labeled fraction and a seed.

    The seed chooses the labeled clips, the weights and the batches. Several processes
    divide a batch, so that the budget stays the same. ``cfg`` is from
    :meth:`Method.read`; without a labeled fraction, in (0, 1], the config's lists are
    used. A DataError says that the config has no labeled fraction, or that a batch
    cannot be divided.
    """
    options = {'randomness.seed': seed, **method.options}
    fraction = 1.0 if method.full else labeled
    dataset, sampler = 'train_dataloader.dataset', 'train_dataloader.sampler'
    if 'labeled_fraction' in cfg.train_dataloader.dataset:
        options[f'{dataset}.split_seed'] = seed
        if fraction is not None:
            options[f'{dataset}.labeled_fraction'] = fraction
    elif fraction is not None:
        raise DataError(
            f'{cfg.filename}: its labeled clips are a list, not a fraction: leave '
            f"--labeled out, and the method '{FULL}'."
        )
    names = ('labeled_per_batch', 'unlabeled_per_batch')
    batch = [cfg.train_dataloader.sampler[name] for name in names]
    if method.full:
        batch = [sum(batch), 0]
    if any(size % processes for size in batch):
        raise DataError(
            f'a batch of {batch[0]} labeled + {batch[1]} unlabeled clips does not '
            f'divide by {processes} processes.'
        )
    for name, size in zip(names, batch, strict=True):
        options[f'{sampler}.{name}'] = size // processes
    return options


def settings_of(cfg: Config) -> dict[str, Any]:
    """Collects by dotted key the settings of a training, wherever its data lie."""
    return {
        '.'.join(path): value
        for path, value in walk({key: cfg.get(key) for key in _SETTINGS})
        if not isinstance(value, Mapping | list | tuple) and not _PLACES & {*path}
    }


def warm_up_epochs(cfg: Config) -> int:
    """Counts the epochs before the first pseudo-label; all where there are none."""
    if cfg.default_hooks.get('pseudo_label') is None:
        return cfg.train_cfg.max_epochs
    return count_warmup_epochs(
        cfg.train_cfg.get('warmup_epochs', 0), cfg.train_cfg.max_epochs
    )


def find_lenders(configs: Mapping[Hashable, Config]) -> dict[Hashable, Hashable]:
    """Finds trainings that can continue from another one's warm-up.

    The two configs may differ only in pseudo-labels, their loss, the curriculum and the
    calibration of saved thresholds, which have no effect before the lender's first
    label. The lender's checkpoint must have all that the borrower resumes from. A
    lender does not borrow. Configs of all trainings, seed and split included, give
    lenders by borrower.
    """

    def rank(name: Hashable) -> tuple[bool, bool]:
        hook = configs[name].default_hooks.get('pseudo_label') or {}
        return not hook.get('align_area', False), not hook

    # a training that aligns areas keeps a state that others do not have, so it can
    # lend to them and not borrow from them; one without pseudo-labels only borrows
    order = sorted(configs, key=rank)
    lenders: dict[Hashable, Hashable] = {}
    for k, name in enumerate(order):
        for other in order[:k]:
            if other not in lenders and _can_lend(configs[other], configs[name]):
                lenders[name] = other
                break
    return lenders


def _can_lend(lender: Config, borrower: Config) -> bool:
    """Whether one training's warm-up can serve the other."""
    begins = warm_up_epochs(lender)
    if begins >= lender.train_cfg.max_epochs or begins > warm_up_epochs(borrower):
        return False
    return _beginning(lender) == _beginning(borrower)


def _beginning(cfg: Config) -> dict:
    """Settings that have an effect before there are pseudo-labels."""
    kept = copy.deepcopy(cfg._cfg_dict.to_dict())
    for name in _WITHOUT_EFFECT:
        kept['default_hooks'].pop(name, None)
    kept['train_cfg'].pop('warmup_epochs', None)
    kept['model'].pop('loss_pseudo', None)
    kept['train_dataloader']['sampler'].pop('curriculum', None)
    return {key: kept.get(key) for key in _SETTINGS}
