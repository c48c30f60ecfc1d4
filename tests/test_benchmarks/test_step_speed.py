"""The bare step computes what XPL's step does."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

import mmxpl.models  # noqa: F401
from mmxpl.pseudo_labels import exchange, sharpen
from mmxpl.registry import MODELS
from mmxpl.testing import tiny_batch, tiny_model_cfg


@pytest.fixture
def step_speed(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / 'benchmarks')
    import step_speed

    return step_speed


def test_the_bare_step_has_the_losses_and_the_update_of_the_learner(step_speed):
    model = tiny_model_cfg()
    # every view is the frame itself
    model['data_preprocessor']['augment'] = dict(
        min_area=1, max_stretch=1, flip=0, brightness=0, contrast=0, saturation=0
    )
    cfg = Config(
        dict(
            model=model,
            default_hooks=dict(pseudo_label=dict(temperature=0.5)),
            optim_wrapper=dict(
                optimizer=dict(type='SGD', lr=0.1), clip_grad=dict(max_norm=5.0)
            ),
            env_cfg=dict(cudnn_benchmark=False),
        )
    )
    torch.manual_seed(0)
    bare = step_speed.BareStep(cfg)
    torch.manual_seed(0)
    learner = MODELS.build(cfg.model)
    learner.init_weights()
    batch = tiny_batch(labeled=2, unlabeled=4)
    found = bare(*step_speed.tensors_of(batch))

    data = learner.data_preprocessor.prepare(batch)
    with torch.no_grad():
        learner.eval()
        maps = learner.predict_maps({k: v[2:] for k, v in data['inputs'].items()})
        learner.train()
    labels = exchange(sharpen(torch.stack([maps['a'], maps['b']], dim=1), 0.5))
    for sample, label in zip(data['data_samples'][2:], labels, strict=True):
        sample.pseudo_label = label
    total, _ = learner.parse_losses(learner(**data, mode='loss'))
    torch.testing.assert_close(found, total.detach(), rtol=1e-4, atol=0)

    total.backward()
    torch.nn.utils.clip_grad_norm_(learner.parameters(), 5.0)
    with torch.no_grad():
        for name, weight in learner.localizers.named_parameters():
            expected = weight - 0.1 * weight.grad
            moved = bare.nets.get_parameter(name)
            torch.testing.assert_close(moved, expected, rtol=1e-3, atol=1e-5)
