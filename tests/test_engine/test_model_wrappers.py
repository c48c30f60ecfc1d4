import pytest
import torch
import torch.distributed as dist
from mmengine.model import BaseModel, is_model_wrapper

from mmxpl.engine.model_wrappers import CPUDistributedDataParallel
from mmxpl.registry import MODEL_WRAPPERS


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


def test_devices_that_the_runner_passes_are_ignored(group):
    kind = 'mmxpl.CPUDistributedDataParallel'
    cfg = {'type': kind, 'module': Model(), 'device_ids': [0]}
    model = MODEL_WRAPPERS.build(cfg)
    assert isinstance(model, CPUDistributedDataParallel)
    assert model.device_ids is None
    assert is_model_wrapper(model)
    model(torch.ones(1, 2), mode='loss')['loss'].backward()
    assert model.module.net.weight.grad.tolist() == [[1.0, 1.0]]
