"""The config that a checkpoint carries, read without running any of it."""

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import TRANSFORMS as ROOT_TRANSFORMS
from mmengine.registry import Registry

from mmxpl.utils.errors import DataError

_SCOPES = ('mmxpl', 'mmdet', 'mmcv', 'mmengine')
_REMEDY = 'Give the config file that it was trained with.'


def embedded_config(checkpoint: Mapping[str, Any], source: str) -> Config:
    """Takes the config out of a checkpoint of MMEngine's.

    MMEngine itself runs the text as Python. Here it is only parsed, since a
    checkpoint may come from anyone: assignments of plain values and ``dict(...)``,
    which is all that MMEngine writes. Modules that its ``custom_imports`` name are
    not imported.

    Args:
        checkpoint (Mapping[str, Any]): what the file held.
        source (str): the file, for messages.

    Returns:
        Config: The config.

    Raises:
        DataError: If there is none, or if it is more than plain values.
    """
    meta = checkpoint.get('meta')
    text = meta.get('cfg') if isinstance(meta, Mapping) else None
    if not isinstance(text, str):
        raise DataError(f"checkpoint '{source}' holds no config. {_REMEDY}")
    try:
        values = {}
        for statement in ast.parse(text).body:
            if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
                raise ValueError(f'line {statement.lineno}')
            values[statement.targets[0].id] = _value(statement.value)
    except (AttributeError, RecursionError, SyntaxError, TypeError, ValueError) as e:
        raise DataError(
            f"the config in checkpoint '{source}' is more than plain values ({e}), "
            f'such code is not run. {_REMEDY}'
        ) from e
    return Config(values)


def refuse_unregistered(cfg: Any, source: str) -> None:
    """Makes sure that a config builds nothing but registered models and transforms.

    A registry of MMEngine's takes any importable name for a type, ``os.system``
    as well, which must not be believed of a file from elsewhere.

    Args:
        cfg (Any): part of a config.
        source (str): its file, for messages.

    Raises:
        DataError: If a ``type`` is not registered.
    """
    for name in _types(cfg):
        if not _is_registered(name):
            raise DataError(
                f"the config in checkpoint '{source}' asks for {name!r}, which is no "
                f'registered model or transform. {_REMEDY}'
            )


def _value(node: ast.expr) -> Any:
    """Evaluates literals and ``dict(key=...)``."""
    if isinstance(node, ast.Call):
        if getattr(node.func, 'id', None) != 'dict' or node.args:
            raise ValueError(f'line {node.lineno}')
        if any(item.arg is None for item in node.keywords):
            raise ValueError(f'line {node.lineno}')
        return {item.arg: _value(item.value) for item in node.keywords}
    if isinstance(node, ast.Dict):
        # a None among the keys is an unpacked dict, which literal_eval refuses
        keys = [ast.literal_eval(key) for key in node.keys]
        return dict(zip(keys, map(_value, node.values), strict=True))
    if isinstance(node, ast.List | ast.Tuple):
        values = [_value(item) for item in node.elts]
        return values if isinstance(node, ast.List) else tuple(values)
    return ast.literal_eval(node)


def _types(cfg: Any) -> Iterator[Any]:
    """Yields the value of every key ``type``, at any depth."""
    if isinstance(cfg, Mapping):
        if '_scope_' in cfg:
            yield cfg['_scope_']  # would change what the names below it mean
        if 'type' in cfg:
            yield cfg['type']
        cfg = list(cfg.values())
    if isinstance(cfg, list | tuple):
        for item in cfg:
            yield from _types(item)


def _is_registered(name: Any) -> bool:
    """Tells whether a registry of mmxpl's, mmdet's or MMEngine's has a type."""
    if not isinstance(name, str):
        return False
    scope, _, bare = name.rpartition('.')
    if scope and scope not in _SCOPES:
        return False
    return any(
        bare in registry.module_dict
        for root in (ROOT_MODELS, ROOT_TRANSFORMS)
        for registry in (root, *root.children.values())
        if _may_hold(registry, scope)
    )


def _may_hold(registry: Registry, scope: str) -> bool:
    """Tells whether a name of a scope is looked for in a registry.

    mmcv has no registry of its own: it registers with MMEngine.
    """
    scopes = (scope,) if scope else ('mmxpl', 'mmengine', 'mmcv')
    return registry.scope in scopes or (scope == 'mmcv' and registry.parent is None)
