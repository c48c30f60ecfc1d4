"""Comparison of a checkpoint with the run that resumes from it."""

import re
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from torch.utils.data import DataLoader, Dataset

from mmxpl.utils.errors import DataError
from mmxpl.utils.ids import fingerprint


def describe_run(loader: DataLoader, world_size: int) -> dict[str, Any]:
    """Describes which clips a run sees, and when.

    Args:
        loader (DataLoader): Of the training.
        world_size (int): Processes.

    Returns:
        dict: Plain values.
    """
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
            _annotations(part) for part in parts if getattr(part, 'labeled', False)
        ],
    )
    for name in ('seed', 'labeled_per_batch', 'unlabeled_per_batch'):
        if hasattr(sampler, name):
            state[f'sampler_{name}'] = getattr(sampler, name)
    return state


def _annotations(dataset: Dataset) -> str:
    """Fingerprint of boxes and masks."""
    infos = (dataset.get_data_info(n) for n in range(len(dataset)))
    return fingerprint([repr((x.get('bboxes'), x.get('mask'))) for x in infos])


def compare_runs(former: dict[str, Any], now: dict[str, Any]) -> str | None:
    """Checks that a run goes on with the same clips in the same batches.

    Another number of processes is fine if together they make the same batches:
    every clip is then drawn and augmented as before, only rounding differs.

    Args:
        former (dict): Description of the run that wrote the checkpoint.
        now (dict): Description of the run that resumes.

    Returns:
        str | None: What is converted, for the log; None if nothing is.

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


def _seeds(former: dict, now: dict):
    before, here = former.get('sampler_seed'), now.get('sampler_seed')
    if before != here:
        yield f'its seed is {before}, this one {here}: set randomness.seed={before}'


def _lists(former: dict, now: dict):
    if former['lists'] == now['lists']:
        return
    if len(former['lists']) != len(now['lists']):
        yield (
            f'it was trained on {len(former["lists"])} data sets, here are '
            f'{len(now["lists"])}'
        )
        return
    names = ('labeled', 'unlabeled') if len(now['lists']) == 2 else ()
    for place, pair in enumerate(zip(former['lists'], now['lists'], strict=True)):
        if pair[0] != pair[1]:
            name = names[place] if names else f'{place + 1}th'
            yield (
                f'its {name} clips are others than these, or in another order: use '
                'the lists that it was started with'
            )


def _annotated(former: dict, now: dict):
    # former releases did not keep them; other lists are told of already
    before = former.get('annotations', now['annotations'])
    if before != now['annotations'] and former['lists'] == now['lists']:
        yield (
            'its labeled clips have other boxes or masks than these: use the '
            'annotations that it was started with'
        )


def _batches(former: dict, now: dict):
    kinds = [
        name
        for name in ('sampler_labeled_per_batch', 'sampler_unlabeled_per_batch')
        if name in former and name in now
    ] or ['batch_size']
    for name in kinds:
        before, here = (s[name] * s['world_size'] for s in (former, now))
        if before != here:
            what = name.removeprefix('sampler_')
            yield (
                f'its batches of all processes hold {before} clips by {what}, these '
                f'{here}: with {now["world_size"]} processes '
                f'{_share(what, before, now)}'
            )
            return  # the number of batches follows
    if former['batches'] != now['batches']:
        yield (
            f'its epochs have {former["batches"]} batches, these {now["batches"]}: '
            f'keep num_batches of the sampler'
        )


def _share(what: str, total: int, now: dict) -> str:
    """Words what to set so that the processes share a batch."""
    share, rest = divmod(total, now['world_size'])
    if rest:
        return 'it cannot be divided evenly; take another number of processes'
    return f'set {what}={share}'


_SHOWN = 6
# what decides how a run trains
_READ = (
    'auto_scale_lr',
    'custom_hooks',
    'default_hooks',
    'model',
    'optim_wrapper',
    'param_scheduler',
    'train_dataloader',
)
# speed, places and what is written; batches and lists, which are compared themselves
_FREE = re.compile(
    r'default_hooks\.(checkpoint|logger|timer|visualization|preemption)\b'
    r'|train_dataloader\.(batch_size|num_workers|persistent_workers|pin_memory'
    r'|prefetch_factor|sampler\.(un)?label+ed_per_batch)\b'
    r'|.*\.(data_root|cache|bank_dir|init_cfg|interval)\b'
)
# restored from the checkpoint with all their options
_RESTORED = re.compile(
    r'(optim_wrapper\.(optimizer|paramwise_cfg|constructor)|param_scheduler)\b'
)


def compare_settings(former: Config, now: Config) -> list[str]:
    """Compares the config of a run with the one that it goes on with.

    Args:
        former (Config): What it was started with.
        now (Config): What it goes on with.

    Returns:
        list[str]: Lines for the log: settings that have no effect, and settings that
        have one from here on. None where there is no difference.
    """
    before, here = (dict(_flatten(_dict_of(cfg))) for cfg in (former, now))
    changed = [
        key
        for key in sorted({*before, *here})
        if before.get(key) != here.get(key) and not _FREE.match(key)
    ]
    restored = [key for key in changed if _RESTORED.match(key)]
    others = [key for key in changed if not _RESTORED.match(key)]
    lines = []
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


def _dict_of(cfg: Config) -> dict[str, Any]:
    values = cfg._cfg_dict.to_dict()
    return {key: values[key] for key in _READ if key in values}


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
    """Writes the first few changes."""
    parts = [
        f'{key} {_value(before, key)} -> {_value(here, key)}' for key in keys[:_SHOWN]
    ]
    more = f', and {len(keys) - _SHOWN} more' if len(keys) > _SHOWN else ''
    return ', '.join(parts) + more


def _value(values: dict, key: str) -> str:
    return repr(values[key]) if key in values else '(none)'
