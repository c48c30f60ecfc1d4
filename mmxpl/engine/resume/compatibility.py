"""Comparison of a checkpoint with the run that loads or resumes it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.optim import OptimWrapper
from torch import Tensor
from torch.utils.data import DataLoader

from mmxpl.utils.errors import DataError
from mmxpl.utils.ids import fingerprint, name_some

_SHOWN = 6
# what decides how a run trains
_READ = (
    'auto_scale_lr',
    'custom_hooks',
    'default_hooks',
    'model',
    'optim_wrapper',
    'param_scheduler',
    'train_cfg',
    'train_dataloader',
)
# speed, places and what is written; batches and lists, which are compared themselves
_FREE = re.compile(
    r'default_hooks\.(checkpoint|logger|timer|visualization|preemption)\b'
    r'|train_cfg\.(val_interval|val_begin)\b'
    r'|train_dataloader\.(batch_size|num_workers|persistent_workers|pin_memory'
    r'|prefetch_factor|sampler\.(un)?label+ed_per_batch)\b'
    r'|.*\.(data_root|cache|bank_dir|init_cfg|interval)\b'
)
# restored from the checkpoint with all their options
_RESTORED = re.compile(
    r'(optim_wrapper\.(optimizer|paramwise_cfg|constructor)|param_scheduler)\b'
)

_EPOCHS = 'train_cfg.max_epochs'


class Mismatch(NamedTuple):
    """Names of weights that differ between a checkpoint and a model."""

    missing: list[str]
    unexpected: list[str]
    mis_shaped: list[str]

    def __str__(self) -> str:
        kinds = zip(('missing', 'unexpected', 'of another shape'), self, strict=True)
        return '; '.join(
            f'{len(keys)} {kind} ({name_some(keys, 3)})' for kind, keys in kinds if keys
        )


def compare_weights(
    model: Mapping[str, Tensor], checkpoint: Mapping[str, Tensor]
) -> Mismatch:
    """Compares names and shapes of two state dicts.

    The prefix ``module.`` of model wrappers in the checkpoint is ignored.
    """
    given = {re.sub(r'^module\.', '', key): value for key, value in checkpoint.items()}
    return Mismatch(
        missing=[key for key in model if key not in given],
        unexpected=[key for key in given if key not in model],
        mis_shaped=[
            f'{key}: {_shape(given[key])} for {_shape(value)}'
            for key, value in model.items()
            if key in given and _shape(given[key]) != _shape(value)
        ],
    )


def _shape(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape) if isinstance(value, Tensor) else None


def check_optimizer(wrapper: OptimWrapper, state: dict, name: str) -> None:
    """Refuses the state of another optimizer, which would fail later or unnoticed.

    Raises a DataError, with the ``name`` of the checkpoint, if the parameter groups
    have other options or sizes.
    """
    own = wrapper.state_dict()
    if not isinstance(own.get('param_groups'), list):
        return  # several optimizers: MMEngine compares their names
    before, here = (_groups(x.get('param_groups', [])) for x in (state, own))
    if before == here:
        return
    options = [set().union(*(keys for keys, _ in groups)) for groups in (before, here)]
    differ = sorted(options[0] ^ options[1])
    sizes = [[size for _, size in groups] for groups in (before, here)]
    detail = (
        f'which has other options ({", ".join(differ)})'
        if differ
        else f'whose groups have {sizes[0]} parameters, here {sizes[1]}'
    )
    raise DataError(
        f'{name} was written with another optimizer, {detail}. Resume with the '
        'optim_wrapper that the run was started with, or, to start from its weights, '
        'set load_from and leave resume out.'
    )


def _groups(groups: list[dict]) -> list[tuple[frozenset, int]]:
    """Names of the options of each parameter group, and its number of parameters.

    Switches come and go with releases of PyTorch, ``initial_lr`` with schedulers.
    """
    skipped = ('params', 'initial_lr')
    return [
        (
            frozenset(
                key
                for key, value in group.items()
                if key not in skipped and not isinstance(value, bool | None)
            ),
            len(group['params']),
        )
        for group in groups
    ]


def describe_run(loader: DataLoader, world_size: int) -> dict[str, Any]:
    """Describes the clips of a run and their order by plain values."""
    sampler, dataset = loader.sampler, loader.dataset
    parts = getattr(dataset, 'datasets', [dataset])
    state = dict(
        world_size=world_size,
        batch_size=loader.batch_size,
        batches=len(loader),
        lists=[
            fingerprint(part.sample_ids) if hasattr(part, 'sample_ids') else len(part)
            for part in parts
        ],
        annotations=[
            fingerprint(
                repr((x.get('bboxes'), x.get('mask')))
                for x in map(part.get_data_info, range(len(part)))
            )
            for part in parts
            if getattr(part, 'labeled', False)
        ],
    )
    for name in ('seed', 'labeled_per_batch', 'unlabeled_per_batch'):
        if hasattr(sampler, name):
            state[f'sampler_{name}'] = getattr(sampler, name)
    return state


def compare_runs(former: dict[str, Any], now: dict[str, Any]) -> str | None:
    """Checks that a run continues with the same clips in the same batches.

    Another number of processes is accepted if together they make the same batches:
    every clip is then drawn and augmented as before, and only rounding differs; a line
    for the log is returned.

    Args:
        former (dict): description of the run that wrote the checkpoint.
        now (dict): description of the run that resumes.

    Raises:
        DataError: If the runs do not fit, with every reason and its remedy.
    """
    checks = (_seeds, _lists, _annotated, _batches)
    reasons = [reason for check in checks for reason in check(former, now)]
    if reasons:
        raise DataError(
            'The checkpoint does not fit this run: '
            + '; '.join(reasons)
            + '. To start a new run from its weights, set load_from and leave resume '
            'out.'
        )
    if former['world_size'] == now['world_size']:
        return None
    return (
        f'The run was started with {former["world_size"]} processes and goes on with '
        f'{now["world_size"]}. Together they make the same batches, so that results '
        'differ by rounding alone.'
    )


def _seeds(former: dict, now: dict) -> Iterator[str]:
    before, here = former.get('sampler_seed'), now.get('sampler_seed')
    if before != here:
        yield f'its seed is {before}, this one {here}: set randomness.seed={before}'


def _lists(former: dict, now: dict) -> Iterator[str]:
    before, here = former['lists'], now['lists']
    if len(before) != len(here):
        yield f'it was trained on {len(before)} data sets, here are {len(here)}'
        return
    names = ('labeled', 'unlabeled') if len(here) == 2 else ()
    for place, pair in enumerate(zip(before, here, strict=True)):
        if pair[0] != pair[1]:
            name = names[place] if names else f'{place + 1}th'
            yield (
                f'its {name} clips are others than these, or in another order: use '
                'the lists that it was started with'
            )


def _annotated(former: dict, now: dict) -> Iterator[str]:
    # former releases did not keep them; other lists are reported already
    before = former.get('annotations', now['annotations'])
    if before != now['annotations'] and former['lists'] == now['lists']:
        yield (
            'its labeled clips have other boxes or masks than these: use the '
            'annotations that it was started with'
        )


def _batches(former: dict, now: dict) -> Iterator[str]:
    kinds = [
        name
        for name in ('sampler_labeled_per_batch', 'sampler_unlabeled_per_batch')
        if name in former and name in now
    ] or ['batch_size']
    for name in kinds:
        before, here = (s[name] * s['world_size'] for s in (former, now))
        if before != here:
            what = name.removeprefix('sampler_')
            share, rest = divmod(before, now['world_size'])
            remedy = (
                'it cannot be divided evenly; take another number of processes'
                if rest
                else f'set {what}={share}'
            )
            yield (
                f'its batches of all processes hold {before} clips by {what}, these '
                f'{here}: with {now["world_size"]} processes {remedy}'
            )
            return  # the number of batches follows
    if former['batches'] != now['batches']:
        yield (
            f'its epochs have {former["batches"]} batches, these {now["batches"]}: '
            'keep num_batches of the sampler'
        )


def compare_settings(former: Config, now: Config) -> list[str]:
    """Compares the config of a checkpoint with that of the run that resumes it.

    Returns lines for the log: another number of epochs, changed settings without
    effect, and changed settings that apply from here on.
    """
    before, here = (
        dict(_flatten({k: v for k, v in cfg._cfg_dict.to_dict().items() if k in _READ}))
        for cfg in (former, now)
    )
    changed = [
        key
        for key in sorted({*before, *here})
        if before.get(key) != here.get(key) and not _FREE.match(key)
    ]
    lines = []
    if _EPOCHS in changed:
        changed.remove(_EPOCHS)
        lines.append(
            f'The run was started with {_name([_EPOCHS], before, here)}. The '
            'curriculum follows the new number, and so does a warm-up given as a share '
            'of it, unless pseudo-labels have begun. The learning rate keeps the '
            'schedule of the checkpoint.'
        )
    restored = [key for key in changed if _RESTORED.match(key)]
    others = [key for key in changed if not _RESTORED.match(key)]
    if restored:
        lines.append(
            'Without effect in a resumed run, which goes on with the optimizer and the '
            f'schedule of its checkpoint: {_name(restored, before, here)}. To train '
            'with other ones, set load_from and leave resume out.'
        )
    if others:
        lines.append(
            'The run was started with other settings, and goes on with these: '
            f'{_name(others, before, here)}. To go on as it was started, set them back.'
        )
    return lines


def _flatten(node: Any, path: str = '') -> Iterator[tuple[str, Any]]:
    """Yields dotted keys and plain values; items of lists by their type."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _flatten(value, f'{path}.{key}' if path else str(key))
    elif isinstance(node, list | tuple) and any(isinstance(x, dict) for x in node):
        kinds = [x.get('type') if isinstance(x, dict) else None for x in node]
        for place, (kind, item) in enumerate(zip(kinds, node, strict=True)):
            unique = kind is not None and kinds.count(kind) == 1
            yield from _flatten(item, f'{path}.{kind if unique else place}')
    else:
        yield path, list(node) if isinstance(node, tuple) else node


def _name(keys: list[str], before: dict, here: dict) -> str:
    """Names the first few changes."""
    parts = [
        f'{key} {_value(before, key)} -> {_value(here, key)}' for key in keys[:_SHOWN]
    ]
    more = f', and {len(keys) - _SHOWN} more' if len(keys) > _SHOWN else ''
    return ', '.join(parts) + more


def _value(values: dict, key: str) -> str:
    return repr(values[key]) if key in values else '(none)'
