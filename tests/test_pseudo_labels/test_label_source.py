import copy

import pytest
import torch

from mmxpl.models import XPL  # noqa: F401
from mmxpl.pseudo_labels import LabelSource, harden, sharpen
from mmxpl.registry import MODELS
from mmxpl.testing import tiny_batch, tiny_model_cfg


@pytest.fixture(scope='module')
def tiny_learner():
    torch.manual_seed(0)
    return MODELS.build(tiny_model_cfg())


@pytest.fixture
def learner(tiny_learner):
    return copy.deepcopy(tiny_learner)


def train_a_step(learner, seed):
    """Moves weights, and statistics of normalisation, as training does."""
    learner.train()
    data = learner.data_preprocessor(tiny_batch(seed=seed), True)
    learner.parse_losses(learner(**data, mode='loss'))[0].backward()
    with torch.no_grad():
        for weight in learner.parameters():
            if weight.grad is not None:
                weight -= 0.1 * weight.grad
    learner.zero_grad()


def test_teacher_is_the_moving_average_of_weights_and_copies_buffers(learner):
    source = LabelSource(teacher_momentum=0.9)
    source.bind(learner)
    source.step()
    assert source.teacher is None
    source.start()
    expected = {k: v.detach().clone() for k, v in learner.named_parameters()}
    teacher = source.teacher.module
    for name, weight in teacher.named_parameters():
        assert torch.equal(weight, expected[name]), name
    for seed in range(3):
        train_a_step(learner, seed)
        source.step()
        for name, weight in learner.named_parameters():
            expected[name] = 0.9 * expected[name] + 0.1 * weight.detach()
    for name, weight in teacher.named_parameters():
        torch.testing.assert_close(weight, expected[name])
        assert not weight.requires_grad
    moved = [
        k for k, v in learner.named_parameters() if not torch.equal(v, expected[k])
    ]
    assert len(moved) > 50
    for (name, buffer), own in zip(
        learner.named_buffers(), teacher.buffers(), strict=True
    ):
        assert torch.equal(buffer, own), name


def test_who_predicts(learner):
    batch = learner.data_preprocessor(tiny_batch())
    own, taught = LabelSource(), LabelSource(teacher_momentum=0.99)
    for source in (own, taught):
        source.bind(learner)
        source.start()
    before = own.predict(batch['inputs'])
    assert torch.equal(taught.predict(batch['inputs']), before)
    train_a_step(learner, 1)
    taught.step()
    # the learner has moved, its teacher hardly
    gap = [
        (source.predict(batch['inputs']) - before).abs().mean()
        for source in (own, taught)
    ]
    assert gap[1] < 0.5 * gap[0]
    assert learner.training
    assert not taught.teacher.module.training


def test_labels_of_a_prediction(learner):
    maps = torch.rand(2, 2, 3, 3)
    for settings, expected in (
        (dict(soft=False), harden(maps)),
        (dict(temperature=0.5), sharpen(maps, 0.5)),
        (dict(), maps),
    ):
        source = LabelSource(**settings)
        source.bind(learner)
        assert torch.equal(source.label(maps), expected)


def test_state_holds_the_teacher_once_there_is_one(learner):
    source = LabelSource(teacher_momentum=0.9)
    source.bind(learner)
    assert source.state_dict() == {'teacher': None}
    source.load_state_dict({'teacher': None})
    assert source.teacher is None
    source.start()
    train_a_step(learner, 0)
    source.step()
    state = copy.deepcopy(source.state_dict())
    train_a_step(learner, 1)
    restored = LabelSource(teacher_momentum=0.9)
    restored.bind(learner)
    restored.load_state_dict(state)
    for either in (source, restored):
        either.step()
    for name, weight in source.state_dict()['teacher'].items():
        assert torch.equal(weight, restored.state_dict()['teacher'][name]), name
    # a learner by its names
    learner.load_state_dict(state['teacher'], strict=True)
