"""What a resumed run is told that differs from what it was started with."""

import re
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

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
