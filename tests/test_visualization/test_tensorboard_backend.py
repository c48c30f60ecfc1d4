import re
import sys

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmxpl.evaluation import CIoUMetric
from mmxpl.evaluation.label_quality import label_facts, label_quality
from mmxpl.registry import MODELS, VISBACKENDS
from mmxpl.testing import tiny_batch, tiny_model_cfg
from mmxpl.visualization.tensorboard_backend import CHARTS


def use(backend):
    backend.add_config(Config(dict(a=1)))
    backend.add_scalar('a/CIoU@0.5_adaptive', 42.0, 3)
    backend.add_scalars({'lr': 0.1}, 3)
    backend.add_image('picture', np.zeros((4, 4, 3), np.uint8), 3)
    backend.close()


def test_events_hold_what_was_logged(tmp_path):
    reader = pytest.importorskip(
        'tensorboard.backend.event_processing.event_accumulator'
    )
    use(VISBACKENDS.build(dict(type='AVTensorboardVisBackend', save_dir=tmp_path)))
    events = reader.EventAccumulator(str(tmp_path)).Reload()
    (tag,) = (t for t in events.Tags()['scalars'] if 'CIoU' in t)
    assert re.match(
        CHARTS['Scores']['CIoU@0.5, adaptive rule, with reference rows'][0], tag
    )
    (event,) = events.Scalars(tag)
    assert (event.step, event.value) == (3, 42.0)
    assert 'custom_scalars__config__' in events.Tags()['tensors']
    assert events.Tags()['images'] == ['picture']


def test_without_tensorboard_one_warning_and_nothing_else(
    tmp_path, monkeypatch, logged
):
    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', None)
    use(VISBACKENDS.build(dict(type='AVTensorboardVisBackend', save_dir=tmp_path)))
    assert logged().count('TensorBoard is not installed') == 1
    assert 'pip install tensorboard' in logged()
    assert not list(tmp_path.glob('events*'))


@pytest.fixture(scope='module')
def keys():
    """The names under which a training really logs."""
    model = MODELS.build(tiny_model_cfg())
    batch = tiny_batch()
    losses = model(**model.data_preprocessor(batch, True), mode='loss')
    metric = CIoUMetric(models=['a', 'b', 'ens'], group_by=['size'])
    metric.dataset_meta = dict(n_expected=2)
    samples = [
        dict(
            sample_id=str(n),
            gt_map=torch.ones(16, 16).tril(),
            pred_map={name: torch.rand(1, 4, 4) for name in ('a', 'b', 'ens')},
        )
        for n in range(2)
    ]
    metric.process(None, samples)
    labels, truth = torch.rand(2, 2, 4, 4), torch.ones(2, 16, 16)
    facts = label_facts(labels, 'ab') | label_quality(labels, truth, 'ab')
    names = [f'pseudo_label/{part}{key}' for part in ('', 'selected/') for key in facts]
    return [*losses, *metric.evaluate(2), *names]


@pytest.mark.parametrize(
    ('category', 'title', 'expected'),
    [
        ('Scores', 'CIoU@0.5, median rule', {'a', 'b', 'ens', 'ref/disc', 'ref/whole'}),
        ('Losses', 'supervised', {'a.loss_supervised', 'b.loss_supervised'}),
        ('Losses', 'pseudo', {'a.loss_pseudo', 'b.loss_pseudo'}),
        ('Losses', 'contrastive', {'a.loss_contrastive', 'b.loss_contrastive'}),
        ('Pseudo-labels', 'mean area', {'a_area', 'b_area', 'true_area'}),
        ('Pseudo-labels', 'sharpness', {'a_sharpness', 'b_sharpness'}),
        ('Pseudo-labels', 'agreement', {'agreement', 'selected/agreement'}),
        ('Pseudo-labels', 'soft IoU', {'a_soft_iou', 'b_soft_iou'}),
    ],
)
def test_charts_show_the_names_that_are_logged(keys, category, title, expected):
    charts = [tags for name, tags in CHARTS[category].items() if name.startswith(title)]
    ((pattern,),) = charts
    shown = {key for key in keys if re.match(pattern, key)}
    if category == 'Scores':
        expected = {f'{row}/CIoU@0.5_median' for row in (*expected, 'ref/oracle')}
    elif category == 'Pseudo-labels':
        expected = {f'pseudo_label/{name}' for name in expected}
    assert shown == expected
