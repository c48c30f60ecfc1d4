"""Registers everything that mmxpl defines."""

import importlib

from mmengine.registry import init_default_scope as set_default_scope

from mmxpl.compat import ensure_mmcv_ops

_PACKAGES = ('datasets', 'engine', 'evaluation', 'models', 'visualization')


def register_all_modules(init_default_scope: bool = True) -> None:
    """Imports every package of mmxpl that fills a registry.

    The registries find their modules by themselves once a Runner has set the
    default scope. This function is for notebooks that build parts without a
    Runner, and for tools: importing eagerly shows the true traceback of a
    module that cannot be imported.

    Args:
        init_default_scope (bool): whether to make ``mmxpl`` the default scope
            if it is not.
    """
    ensure_mmcv_ops()
    for package in _PACKAGES:
        importlib.import_module(f'mmxpl.{package}')
    if init_default_scope:
        set_default_scope('mmxpl')
