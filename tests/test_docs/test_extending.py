"""Every example of docs/extending.md runs and does what it says."""

import copy
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import mmxpl.engine
import mmxpl.models  # noqa: F401
from mmxpl.registry import HOOKS, MODELS
from mmxpl.structures import AVDataSample

TEXT = (Path(__file__).parents[2] / 'docs' / 'extending.md').read_text(encoding='utf-8')
EXAMPLES = dict(re.findall(r'^## (.*?)\n.*?```python\n(.*?)```', TEXT, re.S | re.M))


@pytest.fixture
def run():
    """Runs an example; what it registers is forgotten afterwards."""
    before = [(r, dict(r._module_dict)) for r in (MODELS, HOOKS)]

    def run(title):
        names = {'__name__': 'example'}
        exec(compile(EXAMPLES[title], f'docs/extending.md: {title}', 'exec'), names)
        return SimpleNamespace(**names)

    yield run
    for registry, modules in before:
        registry._module_dict = modules


def test_all_are_tested():
    assert set(EXAMPLES) == {
        'An audio encoder',
        'A visual backbone',
        'A loss',
        'A pseudo-labeler',
        'A hook',
    }


def test_audio_encoder_learns(run):
    example = run('An audio encoder')
    loss, _ = example.learner.parse_losses(example.losses)
    loss.backward()
    weight = example.learner.localizers['b'].audio_encoder.gru.weight_ih_l0
    assert weight.grad.abs().sum() > 0


def test_backbone_decides_the_size_of_the_map(run):
    example = run('A visual backbone')
    assert {name: tuple(m.shape) for name, m in example.maps.items()} == {
        'a': (5, 6, 6),
        'b': (5, 6, 6),
    }


def test_loss_is_the_dice_overlap(run):
    example = run('A loss')
    loss = example.learner.loss_supervised
    logits = torch.tensor([[[2.0, -1.0]], [[0.0, 3.0]]], requires_grad=True)
    target = torch.tensor([[[1.0, 0.0]], [[0.5, 1.0]]])
    overlaps = []
    for p, t in zip(logits.sigmoid().tolist(), target.tolist(), strict=True):
        pairs = list(zip(p[0], t[0], strict=True))
        both = 2 * sum(x * y for x, y in pairs)
        overlaps.append(both / sum(x * x + y * y for x, y in pairs))
    assert loss(logits, target).item() == pytest.approx(0.5 * (1 - sum(overlaps) / 2))
    assert example.losses['a.loss_supervised'] > 0


def test_pseudo_labeler_does_not_care_for_left_and_right(run):
    example = run('A pseudo-labeler')
    inputs = copy.copy(example.inputs)
    inputs['img'] = inputs['img'].flip(-1)
    mirrored = example.hook.labeler.predict(inputs).flip(-1)
    torch.testing.assert_close(example.maps, mirrored)


def test_hook_logs_the_area_of_the_labels(run):
    hook, logged = run('A hook').hook, {}
    samples = [AVDataSample(), AVDataSample(), AVDataSample()]
    for value, sample in zip((0.25, 0.75), samples, strict=False):
        label = torch.full((2, 2), value)
        sample.pseudo_label = torch.stack([label, label / 5])
    hub = SimpleNamespace(update_scalar=logged.__setitem__)
    hook.before_train_iter(
        SimpleNamespace(message_hub=hub), 0, dict(data_samples=samples)
    )
    assert logged['train/a.label_area'] == pytest.approx(0.5)
    assert logged['train/b.label_area'] == pytest.approx(0.1)
