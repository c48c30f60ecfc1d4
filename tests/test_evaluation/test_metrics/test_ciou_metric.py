import logging
import math
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.evaluator import Evaluator
from mmengine.hooks import CheckpointHook
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import PixelData
from torch.utils.data import Dataset

from mmxpl.evaluation import CIoUMetric
from mmxpl.evaluation.functional import (
    evaluate_maps,
    rasterize_boxes,
    summarise_row,
)
from mmxpl.evaluation.metrics import map_metric
from mmxpl.structures import AVDataSample
from mmxpl.utils import DataError, hash_ids

SIZE = 32


def make_samples(count=6, seed=0):
    """Samples whose predictions are right to a varying degree."""
    generator = torch.Generator().manual_seed(seed)
    samples = []
    for i in range(count):
        corner = torch.rand(2, generator=generator) * 0.3
        gt_map = rasterize_boxes(torch.cat([corner, corner + 0.68])[None], SIZE)
        coarse = F.adaptive_avg_pool2d(gt_map[None], 7)
        noise = torch.rand(3, 7, 7, generator=generator)
        share = torch.rand(3, 1, 1, generator=generator)
        a, b, ens = (share * coarse + (1 - share) * noise).split(1)
        sample = AVDataSample(metainfo=dict(sample_id=f'clip_{i:03d}'))
        sample.gt_map = gt_map
        sample.pred_map = PixelData(a=a, b=b, ens=ens)
        samples.append(sample)
    return samples


def evaluate(samples, batch=2, size=None, **kwargs):
    evaluator = Evaluator(dict(type='mmxpl.CIoUMetric', **kwargs))
    for start in range(0, len(samples), batch):
        evaluator.process(samples[start : start + batch])
    return evaluator.evaluate(len(samples) if size is None else size)


def slow_scores(samples, field, slow_cious, slow_auc):
    cious = []
    for sample in samples:
        full = F.interpolate(
            getattr(sample.pred_map, field)[None],
            (SIZE, SIZE),
            mode='bilinear',
            align_corners=True,
        )
        cious.append(slow_cious(full[0, 0].numpy(), sample.gt_map.double().numpy()))
    scores = {}
    for rule in cious[0]:
        values = np.array([one[rule] for one in cious])
        scores[f'{field}/CIoU@0.5_{rule}'] = 100 * np.mean(values >= 0.5)
        scores[f'{field}/AUC_{rule}'] = 100 * slow_auc(values)
    return scores


def test_scores_through_the_evaluator(slow_cious, slow_auc):
    samples = make_samples(9)
    scores = evaluate(samples)
    for field in ('a', 'b', 'ens'):
        expected = slow_scores(samples, field, slow_cious, slow_auc)
        found = {key: scores[key] for key in expected}
        assert found == pytest.approx(expected, abs=1e-9)
        assert 0 < found[f'{field}/CIoU@0.5_adaptive'] < 100


def test_keys():
    scores = evaluate(make_samples())
    rules = ('median', 'median_strict', 'adaptive', 'fixed')
    rows = ('a', 'b', 'ens', 'ref/disc', 'ref/whole', 'ref/oracle')
    assert set(scores) == {'n_evaluated', 'n_expected'} | {
        f'{row}/{name}_{rule}'
        for row in rows
        for name in ('CIoU@0.5', 'AUC')
        for rule in rules
    }
    assert all(isinstance(value, (int, float)) for value in scores.values())


@pytest.mark.parametrize('names', [('a', 'ens'), ('a', 'b', 'c', 'ens')])
def test_one_and_three_localizers_are_scored_without_settings(names):
    samples = make_samples()
    for sample in samples:
        maps = sample.pred_map.a
        sample.pred_map = PixelData(**dict.fromkeys(names, maps))
    rows = {key.split('/')[0] for key in evaluate(samples) if 'CIoU' in key}
    assert rows == {*names, 'ref'}


def test_no_prefix_warning(caplog):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        CIoUMetric()
    finally:
        logger.removeHandler(caplog.handler)
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_just_below_the_threshold_is_below():
    cious = {'a': [0.5 - 1e-12, 0.5, 0.15, 0.0], 'ref/disc': [0.0] * 4}
    item = dict(sample_id='x', cious=cious, size=224)
    scores = CIoUMetric(models=['a']).compute_metrics([item])
    assert scores['a/CIoU@0.5_median'] == 0
    assert scores['a/CIoU@0.5_median_strict'] == 100


def test_kept_results_are_small():
    metric = CIoUMetric()
    metric.process(None, [sample.to_dict() for sample in make_samples(4)])
    assert len(metric.results) == 4
    assert len(pickle.dumps(metric.results[0])) < 1000


def test_a_batch_is_scored_at_once_where_shapes_agree(monkeypatch):
    samples = [sample.to_dict() for sample in make_samples(6)]
    for sample in samples[4:]:
        sample['pred_map']['a'] = torch.rand(1, 5, 9)
    alone = CIoUMetric(('ens', 'a'))
    for sample in samples:
        alone.process(None, [sample])
    counts = []

    def counted(maps, gt_maps, *args):
        counts.append(len(gt_maps))
        return evaluate_maps(maps, gt_maps, *args)

    monkeypatch.setattr(map_metric, 'evaluate_maps', counted)
    together = CIoUMetric(('ens', 'a'))
    together.process(None, samples)
    assert counts == [4, 2]
    assert together.results == alone.results
    assert list(together.results[0]['cious'])[:2] == ['ens', 'a']


@pytest.mark.parametrize('value', [math.nan, math.inf, -0.5, 1.5])
def test_bad_ground_truth_is_refused_with_the_id(value):
    samples = make_samples(4)
    samples[2].gt_map[1, 1] = value
    with pytest.raises(DataError, match='gt_map.*clip_002'):
        evaluate(samples)
    del samples[2].gt_map
    with pytest.raises(DataError, match='clip_002.*no square gt_map'):
        evaluate(samples)


def test_maps_of_different_shape_are_refused():
    samples = make_samples(2)
    samples[1].gt_map = torch.zeros(SIZE + 1, SIZE + 1)
    with pytest.raises(DataError, match='gt_map.*clip_001'):
        evaluate(samples)
    samples = [sample.to_dict() for sample in make_samples(2)]
    samples[1]['pred_map']['a'] = torch.rand(7, 7)
    with pytest.raises(DataError, match=r'pred_map\.a.*clip_001'):
        CIoUMetric().process(None, samples)


def test_count_that_the_data_set_expects():
    samples = make_samples(4)
    metric = CIoUMetric()
    metric.dataset_meta = dict(n_expected=8)
    metric.process(None, [sample.to_dict() for sample in samples])
    scores = metric.evaluate(4)
    assert (scores['n_evaluated'], scores['n_expected']) == (4, 8)


def test_prior_adds_a_row(tmp_path):
    samples = make_samples(6)
    prior = torch.stack([sample.gt_map for sample in samples]).mean(0)
    np.save(tmp_path / 'prior.npy', prior.numpy())
    scores = evaluate(samples, prior=str(tmp_path / 'prior.npy'))
    without = evaluate(samples)
    assert set(scores) - set(without) == {
        f'ref/prior/{name}_{rule}'
        for name in ('CIoU@0.5', 'AUC')
        for rule in ('median', 'median_strict', 'adaptive', 'fixed')
    }
    assert {key: scores[key] for key in without} == without


@pytest.mark.parametrize(
    ('array', 'message'),
    [
        (None, 'cannot be read'),
        (np.ones((3, 4, 4)), r'\(3, 4, 4\)'),
        (np.full((SIZE, SIZE), np.nan), 'holds 1024 values that are NaN'),
        (np.full((SIZE, SIZE), 2.0), r'not in \[0, 1\] but in \[2, 2\]'),
        (np.full((SIZE, SIZE), 0j), 'store real numbers'),
        (np.ones((7, 7)), r'The prior has the shape \(7, 7\)'),
    ],
)
def test_bad_prior_is_refused(tmp_path, array, message):
    path = tmp_path / 'prior.npy'
    if array is not None:
        np.save(path, array)
    with pytest.raises(DataError, match=message):
        evaluate(make_samples(2), prior=str(path))


def test_groups_are_scored_and_counted_but_not_in_the_table(logged):
    samples = make_samples(6)
    for i, sample in enumerate(samples):
        sample.set_metainfo(dict(category='dog' if i < 4 else 'cat'))
    scores = evaluate(samples, group_by=['category'])
    assert (scores['n/category=dog'], scores['n/category=cat']) == (4, 2)
    dogs = evaluate(samples[:4])
    for key, value in dogs.items():
        if '/' in key:
            row, name = key.rsplit('/', 1)
            assert scores[f'{row}/category=dog/{name}'] == value
    assert 'category' not in logged()


def test_logged_table(caplog):
    samples = make_samples(4)
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        evaluate(samples, n_expected=6)
    finally:
        logger.removeHandler(caplog.handler)
    table = next(r.getMessage() for r in caplog.records if 'CIoU@0.5' in r.getMessage())
    assert hash_ids(sample.sample_id for sample in samples) in table
    assert '4 evaluated of 6 expected (2 MISSING)' in table
    places = [table.index(f'\n{name} ') for name in ('a', 'b', 'ens')]
    places += [table.index(name) for name in ('centred disc', 'whole', 'oracle')]
    assert places == sorted(places)


def test_the_ensemble_of_one_localizer_is_not_a_row_of_the_table():
    metric = CIoUMetric()
    for names, shown in ((('a', 'ens'), False), (('a', 'b', 'ens'), True)):
        metric.models = names
        one = summarise_row(torch.tensor([[0.6] * 4, [0.3] * 4]), metric.rules, (0.5,))
        rows = dict.fromkeys((*names, 'ref/disc', 'ref/whole', 'ref/oracle'), one)
        assert ('\nens ' in metric.format_rows(rows)) == shown


class _Clips(Dataset):
    metainfo = dict(classes=('any',))

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return dict(inputs=torch.zeros(1), data_samples=make_samples(3)[index])


class _Answer(BaseModel):
    """Predicts what is stored, so only the plumbing is tested."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return dict(loss=self.weight.sum()) if mode == 'loss' else data_samples


def test_best_checkpoint_is_kept(tmp_path):
    loader = dict(
        dataset=_Clips(),
        sampler=dict(type='DefaultSampler', shuffle=False),
        batch_size=2,
        num_workers=0,
    )
    runner = Runner(
        model=_Answer(),
        work_dir=str(tmp_path),
        train_dataloader=loader,
        val_dataloader=loader,
        train_cfg=dict(by_epoch=True, max_epochs=2, val_interval=1),
        val_cfg=dict(),
        val_evaluator=dict(type='mmxpl.CIoUMetric'),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        default_hooks=dict(
            checkpoint=dict(
                type='CheckpointHook',
                save_best='ens/CIoU@0.5_adaptive',
                rule='greater',
            )
        ),
        experiment_name='ciou_metric_best_checkpoint',
    )
    runner.train()
    best = next(h for h in runner.hooks if isinstance(h, CheckpointHook)).best_ckpt_path
    assert best.endswith('best_ens_CIoU@0.5_adaptive_epoch_1.pth')
    assert (tmp_path / best.rsplit('/', 1)[-1]).is_file()
