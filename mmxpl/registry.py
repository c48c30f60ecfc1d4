"""Registries of mmxpl: children of MMEngine's root registries.

``locations`` lets a registry import the modules that fill it at the first
look-up, so neither ``custom_imports`` nor a registration call is needed when a
config sets ``default_scope = 'mmxpl'``. Types of other OpenMMLab packages are
written with their scope, for example ``dict(type='mmdet.ResNet')``.
"""

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import EVALUATOR as MMENGINE_EVALUATOR
from mmengine.registry import FUNCTIONS as MMENGINE_FUNCTIONS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import LOG_PROCESSORS as MMENGINE_LOG_PROCESSORS
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODEL_WRAPPERS as MMENGINE_MODEL_WRAPPERS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import (
    OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
)
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import OPTIMIZERS as MMENGINE_OPTIMIZERS
from mmengine.registry import PARAM_SCHEDULERS as MMENGINE_PARAM_SCHEDULERS
from mmengine.registry import RUNNERS as MMENGINE_RUNNERS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import VISBACKENDS as MMENGINE_VISBACKENDS
from mmengine.registry import VISUALIZERS as MMENGINE_VISUALIZERS
from mmengine.registry import WEIGHT_INITIALIZERS as MMENGINE_WEIGHT_INITIALIZERS
from mmengine.registry import Registry

# localizers, encoders, losses, data preprocessors and learners
MODELS = Registry('model', parent=MMENGINE_MODELS, locations=['mmxpl.models'])
# wrappers that make a model distributed
MODEL_WRAPPERS = Registry(
    'model_wrapper', parent=MMENGINE_MODEL_WRAPPERS, locations=['mmxpl.engine']
)
# readers of audio-visual data sets
DATASETS = Registry('dataset', parent=MMENGINE_DATASETS, locations=['mmxpl.datasets'])
# which samples make a batch
DATA_SAMPLERS = Registry(
    'data sampler', parent=MMENGINE_DATA_SAMPLERS, locations=['mmxpl.datasets']
)
# steps of a data pipeline
TRANSFORMS = Registry(
    'transform', parent=MMENGINE_TRANSFORMS, locations=['mmxpl.datasets']
)
# functions named in configs, such as collate functions
FUNCTIONS = Registry(
    'function', parent=MMENGINE_FUNCTIONS, locations=['mmxpl.datasets']
)
# actions at fixed points of a training or test run
HOOKS = Registry('hook', parent=MMENGINE_HOOKS, locations=['mmxpl.engine'])
# scores
METRICS = Registry('metric', parent=MMENGINE_METRICS, locations=['mmxpl.evaluation'])
# pictures
VISUALIZERS = Registry(
    'visualizer', parent=MMENGINE_VISUALIZERS, locations=['mmxpl.visualization']
)
# where pictures and scalars go
VISBACKENDS = Registry(
    'vis_backend', parent=MMENGINE_VISBACKENDS, locations=['mmxpl.visualization']
)

# Registries to which mmxpl adds nothing of its own. They exist so that a config of
# scope mmxpl finds MMEngine's entries without a warning.
EVALUATOR = Registry(
    'evaluator', parent=MMENGINE_EVALUATOR, locations=['mmxpl.evaluation']
)
LOG_PROCESSORS = Registry(
    'log_processor', parent=MMENGINE_LOG_PROCESSORS, locations=['mmxpl.engine']
)
LOOPS = Registry('loop', parent=MMENGINE_LOOPS, locations=['mmxpl.engine'])
OPTIMIZERS = Registry(
    'optimizer', parent=MMENGINE_OPTIMIZERS, locations=['mmxpl.engine']
)
OPTIM_WRAPPERS = Registry(
    'optim_wrapper', parent=MMENGINE_OPTIM_WRAPPERS, locations=['mmxpl.engine']
)
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    'optimizer wrapper constructor',
    parent=MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
    locations=['mmxpl.engine'],
)
PARAM_SCHEDULERS = Registry(
    'parameter scheduler', parent=MMENGINE_PARAM_SCHEDULERS, locations=['mmxpl.engine']
)
RUNNERS = Registry('runner', parent=MMENGINE_RUNNERS, locations=['mmxpl.engine'])
WEIGHT_INITIALIZERS = Registry(
    'weight initializer',
    parent=MMENGINE_WEIGHT_INITIALIZERS,
    locations=['mmxpl.models'],
)
