import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import PixelData

from mmxpl.evaluation import CIoUMetric, MapDumper
from mmxpl.evaluation.functional import rasterize_boxes
from mmxpl.evaluation.maps import TruthFile, open_maps, score_files
from mmxpl.structures import AVDataSample
from mmxpl.utils import DataError

RULES = ('median', 'median_strict', 'adaptive', 'fixed')


def make_samples(count=5):
    samples = []
    for i in range(count):
        sample = AVDataSample(metainfo=dict(sample_id=f'set/{i}', category=f'c{i % 2}'))
        sample.gt_map = rasterize_boxes([[0.1 * i, 0.0, 0.6, 0.3 + 0.1 * i]])
        sample.pred_map = PixelData(a=torch.rand(1, 7, 7), ens=torch.rand(1, 7, 7))
        samples.append(sample)
    return samples


def test_dump_scores_like_the_metric(tmp_path):
    samples = make_samples()
    evaluator = Evaluator(
        [
            dict(type='mmxpl.CIoUMetric', models=['a', 'ens']),
            dict(type='mmxpl.MapDumper', out_dir=str(tmp_path)),
        ]
    )
    for start in (0, 2, 4):
        evaluator.process(samples[start : start + 2])
    scores = evaluator.evaluate(5)
    gt = {sample.sample_id: sample.gt_map for sample in samples}
    truth = TruthFile('x', dict.fromkeys(gt), gt.__getitem__)
    for model in ('a', 'ens'):
        maps = open_maps(str(tmp_path / model))
        assert maps.ids == set(gt)
        found = score_files({model: maps}, truth, sorted(gt))
        for k, rule in enumerate(RULES):
            rate = 100 * (found.cious[model][:, k] >= 0.5).double().mean().item()
            assert rate == scores[f'{model}/CIoU@0.5_{rule}']


def test_mixing_runs_is_refused(tmp_path):
    (tmp_path / 'a').mkdir()
    np.save(tmp_path / 'a/x.npy', np.zeros((2, 2)))
    with pytest.raises(DataError, match='holds maps already'):
        MapDumper(str(tmp_path))


def test_unwritable_folder_is_named(tmp_path):
    (tmp_path / 'file').touch()
    dumper = MapDumper(str(tmp_path / 'file' / 'maps'))
    with pytest.raises(DataError, match='cannot be written'):
        dumper.process(None, [make_samples(1)[0].to_dict()])


def test_rules_thresholds_and_groups_of_the_metric():
    samples = make_samples(6)
    metric = CIoUMetric(
        models=['a'],
        rules=['adaptive', 'fixed_minmax'],
        ciou_thresholds=[0.3, 0.75],
        group_by=['size', 'category'],
    )
    metric.process(None, [sample.to_dict() for sample in samples])
    scores = metric.evaluate(6)
    rules = ('adaptive', 'fixed_minmax')
    for rule in rules:
        steps = [scores[f'a/CIoU@{t}_{rule}'] for t in ('0.3', '0.5', '0.75')]
        assert steps == sorted(steps, reverse=True)
        parts = [scores[f'a/category={c}/AUC_{rule}'] for c in ('c0', 'c1')]
        assert sum(parts) / 2 == pytest.approx(scores[f'a/AUC_{rule}'])
    assert 'a/AUC_median' not in scores
    assert scores['n/category=c0'] == 3
    sizes = [v for key, v in scores.items() if key.startswith('n/size=')]
    assert sum(sizes) == 6


def test_unknown_group_and_rule_are_refused():
    metric = CIoUMetric(models=['a'], group_by=['colour'])
    with pytest.raises(DataError, match="has no 'colour'"):
        metric.process(None, [make_samples(1)[0].to_dict()])
    with pytest.raises(ValueError, match='rules'):
        CIoUMetric(rules=['middle'])
