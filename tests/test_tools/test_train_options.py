import importlib.util
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.optim import OptimWrapper

from mmxpl.utils import DataError


@pytest.fixture(scope='module')
def train():
    path = Path(__file__).resolve().parents[2] / 'tools' / 'train.py'
    spec = importlib.util.spec_from_file_location('mmxpl_tools_train', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_amp_replaces_the_wrapper(train):
    cfg = Config({'optim_wrapper': {'optimizer': {'lr': 0.1}}})
    train.enable_amp(cfg)
    cfg.optim_wrapper.type = OptimWrapper  # as a lazy config has it
    train.enable_amp(cfg)
    assert cfg.optim_wrapper.to_dict() == {
        'optimizer': {'lr': 0.1},
        'type': 'AmpOptimWrapper',
        'loss_scale': 'dynamic',
    }


def test_amp_keeps_the_configs_own_loss_scale(train):
    own = {'type': 'AmpOptimWrapper', 'loss_scale': 128.0}
    cfg = Config({'optim_wrapper': own})
    train.enable_amp(cfg)
    assert cfg.optim_wrapper.to_dict() == own


def test_amp_refuses_other_wrappers(train):
    cfg = Config({'optim_wrapper': {'type': 'ApexOptimWrapper'}})
    with pytest.raises(DataError, match='ApexOptimWrapper'):
        train.enable_amp(cfg)


def test_learning_rate_scaling(train):
    cfg = Config({'auto_scale_lr': {'enable': False, 'base_batch_size': 64}})
    train.enable_auto_scale_lr(cfg)
    assert cfg.auto_scale_lr.enable
