import os
import subprocess
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.model import BaseModel, is_model_wrapper

from mmxpl.engine import dist as module
from mmxpl.registry import MODEL_WRAPPERS
from mmxpl.utils import DataError

ROOT = Path(__file__).resolve().parents[2]

TOY = """
import torch
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, MODELS
from torch.utils.data import Dataset


@DATASETS.register_module()
class ToyData(Dataset):
    metainfo = {}

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return dict(inputs=torch.tensor([index / 8, 1.0]))


@MODELS.register_module()
class ToyModel(BaseModel):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1)
        )

    def forward(self, inputs, mode='tensor'):
        return dict(loss=(self.net(torch.stack(inputs)) - 1).square().mean())
"""

CONFIG = """
custom_imports = dict(imports=['toy'], allow_failed_imports=False)
model = dict(type='ToyModel')
train_dataloader = dict(
    batch_size={batch_size},
    num_workers=0,
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(type='ToyData'),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
train_cfg = dict(by_epoch=True, max_epochs=3)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.5, momentum=0.9))
randomness = dict(seed=1)
"""


@pytest.fixture
def cpu_only(monkeypatch):
    """Pretends that there is no accelerator and starts no process group."""
    started = []
    for name in module._OF_TORCHRUN:
        monkeypatch.setenv(name, '0')
    monkeypatch.setattr(module, 'get_device', lambda: 'cpu')
    monkeypatch.setattr(
        module.dist,
        'init_process_group',
        lambda backend, timeout: started.append(timeout and timeout.total_seconds()),
    )
    return started


def test_single_process_and_accelerators_are_left_alone(cpu_only, monkeypatch):
    cfg = Config({'launcher': 'none'})
    assert not module.use_cpu_dist(cfg)
    monkeypatch.setattr(module, 'get_device', lambda: 'cuda')
    cfg.launcher = 'pytorch'
    assert not module.use_cpu_dist(cfg)
    # but for the time that ranks wait for one
    timeout = {'dist_cfg': {'timeout': module.TIMEOUT}}
    assert cfg.to_dict() == {'launcher': 'pytorch', 'env_cfg': timeout}
    assert cpu_only == []


def test_wrapper_and_backend_on_the_cpu(cpu_only):
    cfg = Config(
        {
            'launcher': 'pytorch',
            'find_unused_parameters': True,
            'env_cfg': {'dist_cfg': {'backend': 'nccl', 'timeout': 60}},
        }
    )
    assert module.use_cpu_dist(cfg)
    assert cfg.env_cfg.dist_cfg.backend == 'gloo'
    assert cpu_only == [60]
    cfg.env_cfg.dist_cfg.timeout = None  # is PyTorch's own
    assert module.use_cpu_dist(cfg)
    assert cpu_only == [60, None]
    assert cfg.model_wrapper_cfg.to_dict() == {
        'broadcast_buffers': False,
        'find_unused_parameters': True,
        'device_ids': None,
    }


@pytest.mark.parametrize(
    ('given', 'added'),
    [
        ({'static_graph': True}, {'device_ids': None}),
        (
            {'type': 'MMDistributedDataParallel', 'static_graph': True},
            {'device_ids': None},
        ),
        ({'type': 'Own', 'static_graph': True}, {}),
    ],
)
def test_the_configs_own_wrapper_keeps_its_settings(cpu_only, given, added):
    cfg = Config({'launcher': 'pytorch', 'model_wrapper_cfg': given})
    module.use_cpu_dist(cfg)
    assert cfg.model_wrapper_cfg.to_dict() == given | added


def test_the_wrapper_of_former_versions_becomes_that_of_mmengine(cpu_only):
    given = {'type': 'mmxpl.CPUDistributedDataParallel', 'static_graph': True}
    cfg = Config({'launcher': 'pytorch', 'model_wrapper_cfg': given})
    module.use_cpu_dist(cfg)
    expected = {'static_graph': True, 'device_ids': None}
    assert cfg.model_wrapper_cfg.to_dict() == expected


def test_other_launchers_are_refused_on_the_cpu(cpu_only):
    with pytest.raises(DataError, match='dist_train'):
        module.use_cpu_dist(Config({'launcher': 'slurm'}))


def test_processes_that_no_launcher_started_are_refused(monkeypatch):
    monkeypatch.delenv('RANK', raising=False)
    with pytest.raises(DataError, match='RANK.* not set .*tools/dist_train.sh'):
        module.use_cpu_dist(Config(dict(launcher='pytorch')))


def test_nothing_to_close_in_a_single_process():
    module.close_dist()


def train(python, folder, command, batch_size):
    """Trains the toy model and returns its weights."""
    (folder / 'toy.py').write_text(TOY)
    config = folder / 'config.py'
    config.write_text(CONFIG.format(batch_size=batch_size))
    env = dict(
        os.environ,
        PYTHON=python,
        PYTHONPATH=f'{folder}{os.pathsep}{ROOT}',
        OMP_NUM_THREADS='1',
        # on a machine with GPUs too
        CUDA_VISIBLE_DEVICES='',
    )
    result = subprocess.run(
        [*command[:1], str(config), *command[1:], '--work-dir', str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
        env=env,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return torch.load(folder / 'epoch_3.pth', weights_only=False)['state_dict']


@pytest.mark.slow
def test_two_processes_on_the_cpu_train_as_one(warm_python, tmp_path):
    one, two = tmp_path / 'one', tmp_path / 'two'
    one.mkdir()
    two.mkdir()
    launcher = str(ROOT / 'tools' / 'dist_train.sh')
    alone = train(warm_python, one, [launcher, '1'], batch_size=4)
    together = train(warm_python, two, [launcher, '2'], batch_size=2)
    assert alone.keys() == together.keys()
    for name, weight in alone.items():
        torch.testing.assert_close(together[name], weight, rtol=1e-5, atol=1e-6)


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(2, 1)

    def forward(self, inputs, mode='tensor'):
        return {'loss': self.net(inputs).mean()}


@pytest.fixture
def group(tmp_path):
    dist.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/group', rank=0, world_size=1
    )
    yield
    dist.destroy_process_group()


def test_devices_that_the_runner_passes_are_ignored(group, cpu_only):
    cfg = Config({'launcher': 'pytorch'})
    module.use_cpu_dist(cfg)
    wrapper = dict(cfg.model_wrapper_cfg, type='MMDistributedDataParallel')
    model = MODEL_WRAPPERS.build(
        wrapper, default_args=dict(module=Model(), device_ids=[0])
    )
    assert model.device_ids is None
    assert is_model_wrapper(model)
    model(torch.ones(1, 2), mode='loss')['loss'].backward()
    assert model.module.net.weight.grad.tolist() == [[1.0, 1.0]]
