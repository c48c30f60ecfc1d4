"""What is compared: every method is a config file, every ablation a few keys."""

import os
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmxpl.utils.cli import add_config_options
from mmxpl.utils.errors import DataError

HOOK = 'CrossPseudoLabelHook'
# where configs read the labelled fraction, which their settings may depend on
FRACTION_VARIABLE = 'MMXPL_LABELLED_FRACTION'


@dataclass(frozen=True)
class Method:
    """A row of a comparison.

    Args:
        title (str): what tables call it.
        config (str): path of its config below ``configs/``; ``{suite}`` stands
            for the data, such as 'synthetic'.
        options (Mapping[str, Any]): keys of ``--cfg-options`` that make an
            ablation of it. A first part that names a hook's type stands for
            its place in ``custom_hooks``.
        full (bool): whether every training clip is labelled, at any labelled
            fraction asked for.
    """

    title: str
    config: str
    options: Mapping[str, Any] = field(default_factory=dict)
    full: bool = False


def _ablation(title: str, **options: Any) -> Method:
    """An XPL with other values of the hook's arguments."""
    return Method(
        f'XPL, {title}',
        'xpl/xpl_{suite}.py',
        {f'{HOOK}.{key}': value for key, value in options.items()},
    )


# parts of a config that a training depends on
SETTINGS = ('model', 'optim_wrapper', 'param_scheduler', 'randomness', 'train_cfg')
SETTINGS += ('train_dataloader', 'custom_hooks', 'default_hooks')
# where data lie, which may be moved
_PLACES = ('data_root', 'cache')
_SAMPLER = 'train_dataloader.sampler'

METHODS: dict[str, Method] = {
    'supervised': Method('supervised', 'baselines/supervised_{suite}.py'),
    'supcon': Method('supervised + contrastive', 'baselines/supcon_{suite}.py'),
    'ezvsl': Method('EZ-VSL loss, no labels', 'baselines/ezvsl_{suite}.py'),
    'lvs': Method('LVS loss, no labels', 'baselines/lvs_{suite}.py'),
    'slavc': Method('SLAVC loss, no labels', 'baselines/slavc_{suite}.py'),
    'fnac': Method('FNAC loss, no labels', 'baselines/fnac_{suite}.py'),
    'hard': Method('hard pseudo-labels', 'baselines/hard_{suite}.py'),
    'soft': Method('soft self-training', 'baselines/soft_{suite}.py'),
    'mean_teacher': Method('mean teacher', 'baselines/mean_teacher_{suite}.py'),
    'dmt': Method('DMT', 'baselines/dmt_{suite}.py'),
    'xpl': Method('XPL', 'xpl/xpl_{suite}.py'),
    'full': Method('100 % labels', 'baselines/supcon_{suite}.py', full=True),
    'xpl-soft': _ablation('soft labels', soft=True),
    'xpl-no_sharpening': _ablation('no sharpening', soft=True, temperature=1.0),
    'xpl-no_ema': _ablation('no PL-EMA', momentum=0.0),
    'xpl-no_cross': _ablation('each its own labels', exchange='self'),
    'xpl-ensemble': _ablation("the ensemble's labels", exchange='ensemble'),
    'xpl-no_alignment': _ablation('no area alignment', align_area=False),
    'xpl-train_view': _ablation('labels of the training view', view='train'),
    'xpl-threshold': _ablation('fixed confidence threshold', min_confidence=0.2),
    'xpl-teacher': _ablation("mean teachers' labels", teacher_momentum=0.99),
    'xpl-same_nets': Method(
        'XPL, the same architecture twice',
        'xpl/xpl_{suite}.py',
        {'model.localizers.b': 'a'},
    ),
    'xpl-curriculum': Method(
        'XPL, curriculum 50 to 100 %',
        'xpl/xpl_{suite}.py',
        {f'{_SAMPLER}.curriculum.start': 0.5},
    ),
    'xpl-no_contrast': Method(
        'XPL, no contrastive loss',
        'xpl/xpl_{suite}.py',
        {'model.loss_contrastive': None},
    ),
}


def find_method(name: str, suite: str, configs: Path) -> tuple[Method, Path]:
    """Finds a method and its config file.

    Args:
        name (str): key of :data:`METHODS`, and after each of any number of plus signs
            a key of the config and its value, as after ``--cfg-options``, which make
            another method of it, such as ``xpl+CrossPseudoLabelHook.temperature=0.25``.
        suite (str): data that the config is for, such as 'synthetic'.
        configs (Path): the folder ``configs``.

    Returns:
        tuple[Method, Path]: the method, and its config file.

    Raises:
        DataError: if there is no such method, or no config of it for this data.
    """
    base, *changes = name.split('+')
    if base not in METHODS:
        raise DataError(f"no method '{base}': choose from {', '.join(METHODS)}.")
    method = METHODS[base]
    if changes:
        method = replace(
            method,
            title=', '.join([method.title, *changes]),
            options={**method.options, **_parse_changes(changes, name)},
        )
    path = configs / method.config.format(suite=suite)
    if not path.exists():
        raise DataError(
            f"{path}: no such config, so '{name}' cannot be trained on '{suite}': "
            'write it, or leave the method out.'
        )
    return method, path


def fraction_env(method: Method, labelled: float | None) -> dict[str, str]:
    """Environment variables with which a config is read at a labelled fraction.

    Args:
        method (Method): the method.
        labelled (float, optional): labelled fraction in (0, 1]; none leaves it to
            the config.

    Returns:
        dict[str, str]: name to value.
    """
    fraction = _fraction(method, labelled)
    return {} if fraction is None else {FRACTION_VARIABLE: str(fraction)}


def read_config(path: Path, env: Mapping[str, str]) -> Config:
    """Reads a config under environment variables of its own.

    Args:
        path (Path): the file.
        env (Mapping[str, str]): variables, beside and before the process's.

    Returns:
        Config: the config.
    """
    former = {name: os.environ.get(name) for name in env}
    os.environ.update(env)
    try:
        return Config.fromfile(path)
    finally:
        for name, value in former.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def options_of(
    method: Method, cfg: Config, labelled: float | None, seed: int, processes: int = 1
) -> dict[str, Any]:
    """Options that make a config the method at one fraction and seed.

    The seed chooses the labelled clips, the weights and the batches. Over
    several processes a batch is divided, so that the budget stays the same.

    Args:
        method (Method): the method.
        cfg (Config): its config, as the file has it.
        labelled (float, optional): labelled fraction in (0, 1]; none takes the
            config's lists.
        seed (int): the seed.
        processes (int): processes that train together. Defaults to 1.

    Returns:
        dict[str, Any]: dotted key to value.

    Raises:
        DataError: if the config cannot be made so.
    """
    options = {'randomness.seed': seed}
    for key, value in method.options.items():
        options[_resolve(cfg, key)] = value
    parts = cfg.train_dataloader.dataset.datasets
    fraction = _fraction(method, labelled)
    for k, part in enumerate(parts):
        key = f'train_dataloader.dataset.datasets.{k}'
        if 'split_seed' in part:
            options[f'{key}.split_seed'] = seed
        if fraction is not None:
            if 'fraction' not in part:
                raise DataError(
                    f'{cfg.filename}: its labelled clips are a list, not a fraction: '
                    'leave --labelled out, and methods that need all labels.'
                )
            options[f'{key}.fraction'] = fraction
    sampler = cfg.train_dataloader.sampler
    batch = [sampler.labelled_per_batch, sampler.unlabelled_per_batch]
    if method.full:
        batch = [sum(batch), 0]
    if any(size % processes for size in batch):
        raise DataError(
            f'a batch of {batch[0]} labelled + {batch[1]} unlabelled clips does not '
            f'divide by {processes} processes.'
        )
    batch = [size // processes for size in batch]
    options[f'{_SAMPLER}.labelled_per_batch'] = batch[0]
    options[f'{_SAMPLER}.unlabelled_per_batch'] = batch[1]
    options['train_dataloader.batch_size'] = sum(batch)
    return options


def settings_of(cfg: Config) -> dict[str, Any]:
    """Settings that a training depends on, wherever its data lie.

    Args:
        cfg (Config): config of a training, options included.

    Returns:
        dict[str, Any]: dotted key to value.
    """
    return dict(_leaves({key: cfg.get(key) for key in SETTINGS}))


def longer(cfg: Config, epochs: int) -> dict[str, Any]:
    """Options that stretch a config's schedule to another number of epochs.

    Whatever ends with the training ends with it then, too: the decay of the
    learning rate and the curriculum. The warm-up stays as it is.

    Args:
        cfg (Config): a config.
        epochs (int): epochs of the training.

    Returns:
        dict[str, Any]: dotted key to value.
    """
    former = cfg.train_cfg.max_epochs
    options = {'train_cfg.max_epochs': epochs}
    for k, scheduler in enumerate(cfg.param_scheduler):
        if scheduler.get('by_epoch', True) and scheduler.get('end') == former:
            for key in ('end', 'T_max'):
                if key in scheduler:
                    options[f'param_scheduler.{k}.{key}'] = epochs
    curriculum = cfg.train_dataloader.sampler.get('curriculum')
    if curriculum is not None and curriculum['until'] == former:
        options[f'{_SAMPLER}.curriculum.until'] = epochs
    return options


def _fraction(method: Method, labelled: float | None) -> float | None:
    """Labelled fraction that a method has where one is asked for."""
    return 1.0 if method.full else labelled


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
    for change in changes:
        if '=' not in change:
            raise DataError(
                f"method '{name}': after a plus sign comes a key of the config and its "
                f"value, 'key=value', got '{change}'."
            )
    parser = ArgumentParser()
    add_config_options(parser)
    return parser.parse_args(['--cfg-options', *changes]).cfg_options


def _resolve(cfg: Config, key: str) -> str:
    """Replaces a hook's type by its place in the config."""
    head, _, rest = key.partition('.')
    for k, hook in enumerate(cfg.get('custom_hooks', [])):
        if hook['type'] == head:
            return f'custom_hooks.{k}.{rest}'
    return key
