"""Types of the settings of a config."""

import logging
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from inspect import Parameter, formatannotation
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from mmengine.config import Config

from .config_overrides import READ_BELOW, find_arguments
from .errors import DataError
from .nested import walk

# types of an argument, and those of its value in a config; others are not checked
_VALUES = {
    bool: bool,
    int: int,
    float: (int, float),
    str: str,
    NoneType: NoneType,
    dict: dict,
    Mapping: dict,
    list: (list, tuple, range),
    tuple: (list, tuple, range),
    Sequence: (list, tuple, range),
}
# arguments of PyTorch's loader, and keys of parts that build no class: nobody else
# checks their types
_LOADER = dict(
    batch_sampler=dict | None,
    batch_size=int,
    dataset=dict,
    drop_last=bool,
    num_workers=int,
    persistent_workers=bool,
    pin_memory=bool,
    prefetch_factor=int | None,
    sampler=dict | None,
    timeout=float,
)
_TYPES = {
    **READ_BELOW,
    '': dict(
        compile=bool | dict, find_unused_parameters=bool, model_wrapper_cfg=dict | None
    ),
    'env_cfg.dist_cfg': dict(backend=str, timeout=float | None),
    'log_processor': dict(window_size=int),
    'optim_wrapper.clip_grad': dict(clip_value=float, max_norm=float),
    **dict.fromkeys(('train_dataloader', 'val_dataloader', 'test_dataloader'), _LOADER),
}
# those of them that nobody else refuses if they are not positive
_POSITIVE = {
    'auto_scale_lr.base_batch_size',
    'env_cfg.dist_cfg.timeout',
    'log_processor.window_size',
    'optim_wrapper.clip_grad.clip_value',
    'optim_wrapper.clip_grad.max_norm',  # a negative one turns gradients round
}


def check_settings(cfg: Config) -> None:
    """Checks the types of the settings of a run.

    Arguments of classes of mmxpl and MMEngine are compared with their annotations,
    since most would fail late or be misunderstood: ``'false'`` is true.

    Raises a DataError with the key.
    """
    # imports PyTorch, which a tool that refuses its arguments does without
    from mmengine.runner import Runner

    from mmxpl.registry import find_class

    # with what a lazy config imports; resume may be 'auto', log_level a number
    own = ('log_level', 'resume')
    whole = {key: x for key, x in cfg._cfg_dict.items() if key not in own}
    for path, node in [((), dict(whole, type=Runner)), *walk(cfg._cfg_dict)]:
        if not isinstance(node, dict):
            continue
        if not node.get('type', True):
            key = '.'.join([*path, 'type'])
            raise DataError(f'{key} is {node["type"]!r}: name a registered class.')
        built, kinds = find_class(node), {}
        if getattr(built, '__module__', '').startswith(('mmxpl.', 'mmengine.')):
            kinds = find_arguments(node)
        for name, kind in _TYPES.get('.'.join(path), {}).items():
            kinds[name] = Parameter(name, Parameter.KEYWORD_ONLY, annotation=kind)
        for name in sorted(kinds.keys() & node.keys()):
            key, value = '.'.join([*path, name]), node[name]
            if not _fits(value, kinds[name]):
                kind = formatannotation(_kind_of(kinds[name]))
                raise DataError(
                    f'{key} has the type {kind.replace("collections.abc.", "")}, got '
                    f'{value!r}.'
                )
            if key in _POSITIVE and value is not None and not value > 0:
                raise DataError(f'{key} must be positive, got {value}.')
    if cfg.get('resume') not in (None, False, True, 'auto'):
        raise DataError(f"resume is True, False or 'auto', got {cfg.resume!r}.")
    if 'runner_type' in cfg and find_class(dict(type=cfg.runner_type)) is None:
        raise DataError(f'runner_type is {cfg.runner_type!r}, which is not registered.')
    seed = (cfg.get('randomness') or {}).get('seed')
    if seed is not None and not (isinstance(seed, int) and 0 <= seed < 2**32):
        raise DataError(
            f'randomness.seed is None or a whole number from 0 to {2**32 - 1}, got '
            f'{seed!r}.'
        )
    level = cfg.get('log_level', 'INFO')
    known = isinstance(level, str) and isinstance(logging.getLevelName(level), int)
    if not known and not isinstance(level, int):
        raise DataError(f"log_level is 'INFO', 'WARNING' or the like, got {level!r}.")
    hooks = cfg.get('default_hooks') or {}
    for name, hook in hooks.items():
        if isinstance(hook, dict) and 'type' not in hook:
            others = [key for key in hooks if key != name]
            meant = ' or '.join(get_close_matches(name, others, 2))
            raise DataError(
                f'default_hooks.{name} has no type'
                + (f'; did you mean {meant}?' if meant else ': give it one.')
            )


def _kind_of(argument: Parameter) -> Any:
    """Returns the annotation of an argument or, without one, the type of its default.

    A whole number as default may stand for any number.
    """
    kind, default = argument.annotation, argument.default
    if kind is not Parameter.empty or default in (None, Parameter.empty):
        return kind
    return float if type(default) is int else type(default)


def _fits(value: Any, argument: Parameter) -> bool:
    """Tells whether a value of a config may be of the type of an argument."""
    kind = _kind_of(argument)
    if type(value).__module__ == 'numpy':  # an array or number, of a config with code
        value = value.tolist()
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    values = [_VALUES.get(get_origin(one) or one) for one in kinds]
    implicit = value is None and argument.default is None
    if None in values:  # an object perhaps, but no plain value where there is a config
        return dict not in values or not isinstance(value, str | int | float)
    return implicit or isinstance(value, tuple(values))
