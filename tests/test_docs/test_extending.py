"""Every example of docs/extending.md runs and does what it says."""

import copy
import math
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

import mmxpl.engine
import mmxpl.models  # noqa: F401
from mmxpl.registry import DATASETS, HOOKS, METRICS, MODELS, TRANSFORMS
from mmxpl.structures import AVDataSample
from mmxpl.utils.cli import load_config

TEXT = (Path(__file__).parents[2] / 'docs' / 'extending.md').read_text(encoding='utf-8')
REGISTRIES = (DATASETS, HOOKS, METRICS, MODELS, TRANSFORMS)
EXAMPLES = dict(re.findall(r'^## (.*?)\n.*?```python\n(.*?)```', TEXT, re.S | re.M))


@pytest.fixture
def run():
    """Runs an example; what it registers is forgotten afterwards."""
    before = [(r, dict(r._module_dict)) for r in REGISTRIES]

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
        'A learner',
        'A method',
        'A transform',
        'A metric',
        'A data set',
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


def test_learner_adds_its_loss_to_those_of_xpl(run):
    example = run('A learner')
    learner, inputs = example.learner.eval(), example.batch['inputs']
    with torch.no_grad():
        losses = learner(**example.batch, mode='loss')
        mirrored = learner.predict_maps(dict(inputs, img=inputs['img'].flip(-1)))
        expected = F.binary_cross_entropy(
            mirrored['a'].flip(-1), learner.predict_maps(inputs)['a']
        )
    assert losses['a.loss_mirror'] == pytest.approx(0.5 * float(expected), rel=1e-4)
    total, _ = learner.parse_losses(example.losses)
    parts = [v for name, v in example.losses.items() if 'loss' in name]
    assert len(parts) == 8
    assert total.item() == pytest.approx(sum(parts).item(), rel=1e-5)


def test_method_makes_a_config_that_of_the_learner(run, tmp_path, monkeypatch):
    (tmp_path / 'my_parts.py').write_text(EXAMPLES['A learner'])
    (tmp_path / 'mirror.py').write_text(EXAMPLES['A method'])
    monkeypatch.syspath_prepend(tmp_path)
    config = Path(__file__).parents[2] / 'configs/xpl/xpl_synthetic.py'
    cfg = load_config(str(config), method=str(tmp_path / 'mirror.py'))
    assert cfg.method == 'XPL, mirrored'
    assert MODELS.build(cfg.model).mirror_weight == 0.5


def test_transform_adds_noise_of_the_given_power(run):
    example = run('A transform')
    noise = example.noisy - example.tone
    ratio = example.tone.var() / noise.var()
    assert 10 * math.log10(ratio) == pytest.approx(10, abs=0.5)


def test_metric_counts_hits(run):
    example = run('A metric')
    assert {name.split('/')[1] for name in example.scores} >= {'a', 'b', 'ens'}
    metric, gt_map = (
        example.METRICS.build(dict(type='PointingMetric')),
        torch.zeros(8, 8),
    )
    gt_map[:4] = 1
    for n, row in enumerate((0, 0, 3)):
        prob = torch.zeros(1, 4, 4)
        prob[0, row, 1] = 0.7
        sample = dict(sample_id=str(n), gt_map=gt_map, pred_map=dict(a=prob))
        metric.process(None, [sample])
    scores = metric.evaluate(3)
    assert scores['pointing/a/accuracy'] == pytest.approx(200 / 3)


def test_data_set_reads_boxes_of_lines(run, spoilable_world):
    (spoilable_world / 'boxes.csv').write_text(
        'clip-01,bell,0.1,0.2,0.5,0.9\nclip-02,drum,0,0,1,1\nclip-01,bell,0,0,0.1,0.1\n'
    )
    kind = run('A data set').CSVDataset
    (spoilable_world / 'ids.txt').write_text('clip-01\nclip-02\n')
    dataset = kind(data_root=str(spoilable_world), id_list='ids.txt', labeled=True)
    assert dataset.sample_ids == ['clip-01', 'clip-02']
    assert dataset[0]['bboxes'] == [[0.1, 0.2, 0.5, 0.9], [0, 0, 0.1, 0.1]]
    assert dataset[1]['category'] == 'drum'
    dataset = kind(data_root=str(spoilable_world), id_list='ids.txt')
    assert dataset[0]['bboxes'] is None
