import copy

import pytest
import torch

from mmxpl.models import XPL  # noqa: F401
from mmxpl.pseudo_labels import PseudoLabeler, exchange, harden, sharpen
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
    source = PseudoLabeler(teacher_momentum=0.9)
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
    own, taught = PseudoLabeler(), PseudoLabeler(teacher_momentum=0.99)
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
        source = PseudoLabeler(**settings)
        source.bind(learner)
        assert torch.equal(source.label(maps), expected)


def test_state_holds_the_teacher_once_there_is_one(learner):
    source = PseudoLabeler(teacher_momentum=0.9)
    source.bind(learner)
    assert source.state_dict() == {'teacher': None}
    source.load_state_dict({'teacher': None})
    assert source.teacher is None
    source.start()
    train_a_step(learner, 0)
    source.step()
    state = copy.deepcopy(source.state_dict())
    train_a_step(learner, 1)
    restored = PseudoLabeler(teacher_momentum=0.9)
    restored.bind(learner)
    restored.load_state_dict(state)
    for either in (source, restored):
        either.step()
    for name, weight in source.state_dict()['teacher'].items():
        assert torch.equal(weight, restored.state_dict()['teacher'][name]), name
    # a learner by its names
    learner.load_state_dict(state['teacher'], strict=True)


@pytest.mark.parametrize('temperature', [0.25, 0.5, 1.0, 2.0])
def test_sharpen_is_the_power_form(temperature):
    p = torch.linspace(0.01, 0.99, 37, dtype=torch.float32)
    power, rest = p.double() ** (1 / temperature), (1 - p.double()) ** (1 / temperature)
    torch.testing.assert_close(
        sharpen(p, temperature).double(), power / (power + rest), atol=1e-6, rtol=0
    )


def test_sharpen_keeps_the_ends_and_the_middle():
    out = sharpen(torch.tensor([0.0, 0.5, 1.0]), 0.5)
    torch.testing.assert_close(out, torch.tensor([0.0, 0.5, 1.0]), atol=1e-6, rtol=0)
    assert torch.isfinite(sharpen(torch.tensor([0.0, 1.0]), 0.01)).all()


def test_harden_puts_the_threshold_into_the_foreground():
    assert harden(torch.tensor([0.49, 0.5, 0.51])).tolist() == [0, 1, 1]


def test_each_learns_from_whom_the_mode_says():
    a, b = torch.rand(5, 3, 3), torch.rand(5, 3, 3)
    labels = torch.stack([a, b], dim=1)
    cross = exchange(labels, 'cross')
    assert torch.equal(cross[:, 0], b)
    assert torch.equal(cross[:, 1], a)
    assert torch.equal(exchange(labels, 'self'), labels)
    common = exchange(labels, 'intersection')
    assert torch.equal(common[:, 0], torch.minimum(a, b))
    assert torch.equal(common[:, 1], torch.minimum(a, b))
    mean = exchange(labels, 'ensemble')
    torch.testing.assert_close(mean[:, 0], (a + b) / 2)
    assert torch.equal(mean[:, 1], mean[:, 0])


def test_unknown_mode_is_named():
    with pytest.raises(ValueError, match="'swap'"):
        exchange(torch.rand(1, 2, 3, 3), 'swap')
