"""Registries of mmxpl: children of MMEngine's root registries.

``locations`` lets a registry import the modules that fill it at the first
look-up, so neither ``custom_imports`` nor a registration call is needed when a
config sets ``default_scope = 'mmxpl'``. Types of other OpenMMLab packages are
written with their scope, for example ``dict(type='mmdet.ResNet')``.
"""

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import FUNCTIONS as MMENGINE_FUNCTIONS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODEL_WRAPPERS as MMENGINE_MODEL_WRAPPERS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import VISUALIZERS as MMENGINE_VISUALIZERS
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
