"""Registries of mmxpl: children of MMEngine's root registries.

``locations`` lets a registry import the modules that fill it at the first
look-up, so neither ``custom_imports`` nor a registration call is needed when a
config sets ``default_scope = 'mmxpl'``. Types of other OpenMMLab packages are
written with their scope, for example ``dict(type='mmdet.ResNet')``.
"""

import importlib
from contextlib import suppress
from typing import Any

from mmengine import registry as root
from mmengine.registry import Registry


def _child(parent: Registry, package: str) -> Registry:
    """Makes the registry of mmxpl that a package fills."""
    return Registry(parent.name, parent=parent, locations=[f'mmxpl.{package}'])


# localizers, encoders, losses, data preprocessors and learners
MODELS = _child(root.MODELS, 'models')
# readers of audio-visual data sets
DATASETS = _child(root.DATASETS, 'datasets')
# which samples make a batch
DATA_SAMPLERS = _child(root.DATA_SAMPLERS, 'datasets')
# steps of a data pipeline
TRANSFORMS = _child(root.TRANSFORMS, 'datasets')
# functions named in configs, such as collate functions
FUNCTIONS = _child(root.FUNCTIONS, 'datasets')
# actions at fixed points of a training or test run
HOOKS = _child(root.HOOKS, 'engine')
# scores
METRICS = _child(root.METRICS, 'evaluation')
# pictures
VISUALIZERS = _child(root.VISUALIZERS, 'visualization')
# where pictures and scalars go
VISBACKENDS = _child(root.VISBACKENDS, 'visualization')
LOOPS = _child(root.LOOPS, 'engine')
OPTIM_WRAPPERS = _child(root.OPTIM_WRAPPERS, 'engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child(root.OPTIM_WRAPPER_CONSTRUCTORS, 'engine')
PARAM_SCHEDULERS = _child(root.PARAM_SCHEDULERS, 'engine')

# Registries to which mmxpl adds nothing of its own. They exist so that a config of
# scope mmxpl finds MMEngine's entries without a warning.
EVALUATOR = _child(root.EVALUATOR, 'evaluation')
LOG_PROCESSORS = _child(root.LOG_PROCESSORS, 'engine')
MODEL_WRAPPERS = _child(root.MODEL_WRAPPERS, 'engine')
OPTIMIZERS = _child(root.OPTIMIZERS, 'engine')
RUNNERS = _child(root.RUNNERS, 'engine')
WEIGHT_INITIALIZERS = _child(root.WEIGHT_INITIALIZERS, 'models')


def register_all_modules(init_default_scope: bool = True) -> None:
    """Imports every package of mmxpl that fills a registry.

    The registries find their modules by themselves once a Runner has set the default
    scope. This function is for notebooks that build parts without a Runner, and for
    tools: importing eagerly shows the true traceback of a module that cannot be
    imported.

    Args:
        init_default_scope (bool): whether to make ``mmxpl`` the default scope if it is
            not.
    """
    from mmxpl.compat import ensure_mmcv_ops

    ensure_mmcv_ops()
    for package in ('datasets', 'engine', 'evaluation', 'models', 'visualization'):
        importlib.import_module(f'mmxpl.{package}')
    if init_default_scope:
        root.init_default_scope('mmxpl')


def find_class(node: Any) -> type | None:
    """Finds the class that a part of a config builds; None if it builds none."""
    kind = node.get('type') if isinstance(node, dict) else None
    if isinstance(kind, type):  # of a lazy config
        return kind
    if not isinstance(kind, str):
        return None
    register_all_modules(init_default_scope=False)
    registries = [x for x in globals().values() if isinstance(x, Registry)]
    for one in registries:
        for place in (one, one.parent):
            if place is not None and kind in place.module_dict:
                return place.module_dict[kind]
    # get() tries to import what a registry does not know
    with suppress(RuntimeError):  # no name of a class, such as ''
        return next(filter(None, (one.get(kind) for one in registries)), None)
    return None
