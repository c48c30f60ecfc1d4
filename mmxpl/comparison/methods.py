"""What is compared: a method is an overlay on the config, and a few keys."""

from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmxpl.utils import config as methods
from mmxpl.utils.cli import add_config_options, load_config
from mmxpl.utils.errors import DataError

# trained on all clips with their labels: the most that labels can give
FULL = 'full'
_FULL_OVERLAY, _FULL_TITLE = 'supcon', '100 % labels'

# parts of a config that a training depends on
SETTINGS = ('model', 'optim_wrapper', 'param_scheduler', 'randomness', 'train_cfg')
SETTINGS += ('train_dataloader', 'custom_hooks', 'default_hooks')
# where data lie, which may be moved
_PLACES = ('data_root', 'cache')
_DATASET, _SAMPLER = 'train_dataloader.dataset', 'train_dataloader.sampler'


@dataclass(frozen=True)
class Method:
    """A row of a comparison.

    Args:
        overlay (str): name or file of a method, see
            :func:`mmxpl.utils.config.apply_method`.
        options (Mapping[str, Any]): keys of ``--cfg-options`` that make another
            method of it.
        changes (tuple[str, ...]): the same as they were written.
        full (bool): whether every training clip is labeled, at any labeled
            fraction asked for.
    """

    overlay: str
    options: Mapping[str, Any] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    full: bool = False

    def read(self, config: Path) -> Config:
        """Reads a config as this method's.

        Args:
            config (Path): a config of XPL.

        Returns:
            Config: the config with the overlay, but without the options.
        """
        return load_config(str(config), method=self.overlay)

    def title(self, cfg: Config) -> str:
        """What tables call it.

        Args:
            cfg (Config): from :meth:`read`.

        Returns:
            str: The title.
        """
        return ', '.join([_FULL_TITLE if self.full else cfg.method, *self.changes])


def find_method(name: str) -> Method:
    """Finds a method.

    Args:
        name (str): 'full', or name or file of a method; after each of any number of
            plus signs a key of the config and its value, as after ``--cfg-options``,
            which make another method of it, such as
            ``xpl+default_hooks.pseudo_label.temperature=0.25``.

    Returns:
        Method: the method.

    Raises:
        DataError: if there is no such method.
    """
    base, *changes = name.split('+')
    full = base == FULL
    overlay = _FULL_OVERLAY if full else base
    methods.find_method(overlay)
    return Method(overlay, _parse_changes(changes, name), tuple(changes), full)


def options_of(
    method: Method, cfg: Config, labeled: float | None, seed: int, processes: int = 1
) -> dict[str, Any]:
    """Options that make a method's config that of one fraction and seed.

    The seed chooses the labeled clips, the weights and the batches. Over
    several processes a batch is divided, so that the budget stays the same.

    Args:
        method (Method): the method.
        cfg (Config): the config, as the method reads it.
        labeled (float, optional): labeled fraction in (0, 1]; none takes the
            config's lists.
        seed (int): the seed.
        processes (int): processes that train together.

    Returns:
        dict[str, Any]: dotted key to value.

    Raises:
        DataError: if the config cannot be made so.
    """
    options = {'randomness.seed': seed, **method.options}
    fraction = 1.0 if method.full else labeled
    if 'labeled_fraction' in cfg.train_dataloader.dataset:
        options[f'{_DATASET}.split_seed'] = seed
        if fraction is not None:
            options[f'{_DATASET}.labeled_fraction'] = fraction
    elif fraction is not None:
        raise DataError(
            f'{cfg.filename}: its labeled clips are a list, not a fraction: leave '
            f"--labeled out, and the method '{FULL}'."
        )
    sampler = cfg.train_dataloader.sampler
    names = ('labeled_per_batch', 'unlabeled_per_batch')
    batch = [sampler[name] for name in names]
    if method.full:
        batch = [sum(batch), 0]
    if any(size % processes for size in batch):
        raise DataError(
            f'a batch of {batch[0]} labeled + {batch[1]} unlabeled clips does not '
            f'divide by {processes} processes.'
        )
    for name, size in zip(names, batch, strict=True):
        options[f'{_SAMPLER}.{name}'] = size // processes
    return options


def settings_of(cfg: Config) -> dict[str, Any]:
    """Settings that a training depends on, wherever its data lie.

    Args:
        cfg (Config): config of a training, options included.

    Returns:
        dict[str, Any]: dotted key to value.
    """
    return dict(_leaves({key: cfg.get(key) for key in SETTINGS}))


def _leaves(node: Any, key: str = '') -> Iterator[tuple[str, Any]]:
    """Yields dotted key and value of all that is in dictionaries and lists."""
    if isinstance(node, Mapping):
        parts = node.items()
    elif isinstance(node, list | tuple):
        parts = enumerate(node)
    else:
        yield key, node
        return
    for name, part in parts:
        if name not in _PLACES:
            yield from _leaves(part, f'{key}.{name}' if key else str(name))


def _parse_changes(changes: list[str], name: str) -> dict[str, Any]:
    """Reads 'key=value' as ``--cfg-options`` does."""
    if not changes:
        return {}
    for change in changes:
        if '=' not in change:
            raise DataError(
                f"method '{name}': after a plus sign comes a key of the config and its "
                f"value, 'key=value', got '{change}'."
            )
    parser = ArgumentParser()
    add_config_options(parser)
    return parser.parse_args(['--cfg-options', *changes]).cfg_options
