"""What holds for every metric."""

import json
import math
import os
import pickle
import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from mmxpl.evaluation import (
    BoxAPMetric,
    CIoUMetric,
    ExtendedMetric,
    InteractiveMetric,
    MapMetric,
    MultiSourceMetric,
    NegativeAudioMetric,
    SegmentationMetric,
)
from mmxpl.registry import METRICS
from mmxpl.utils import DataError, hash_ids
from tests.test_evaluation.scored_samples import evaluate_samples, scored_samples

SIZE = 32
MODELS = ('a', 'b')
ALL = {
    BoxAPMetric: dict(size=SIZE),
    CIoUMetric: dict(prefix='ciou'),  # it has none of its own
    ExtendedMetric: {},
    InteractiveMetric: {},
    MultiSourceMetric: dict(size=SIZE),
    NegativeAudioMetric: {},
    SegmentationMetric: {},
}


def make_samples(metric, count=9):
    return scored_samples(
        count, SIZE, negative=metric in (ExtendedMetric, NegativeAudioMetric)
    )


def evaluate(metric, samples, *args, **kwargs):
    settings = {**ALL[metric], **kwargs}
    return evaluate_samples(metric.__name__, samples, *args, **settings)


def prefix_of(metric):
    return ALL[metric].get('prefix', metric.default_prefix)


every = pytest.mark.parametrize('metric', list(ALL))


@every
@pytest.mark.parametrize('batch', [1, 4, 9])
def test_batch_size_does_not_matter(metric, batch):
    samples = make_samples(metric)
    assert evaluate(metric, samples, batch) == evaluate(metric, samples, 3)


@every
def test_models_are_those_that_are_predicted_unless_named(metric):
    samples = make_samples(metric)
    for sample in samples:
        sample.pred_map.c = sample.pred_map.a
    rows = {key.split('/')[1] for key in evaluate(metric, samples) if '/' in key}
    assert {'a', 'b', 'c'} <= rows
    rows = {key.split('/')[1] for key in evaluate(metric, samples, models=['b'])}
    assert 'b' in rows
    assert not {'a', 'c'} & rows
    del samples[0].pred_map
    with pytest.raises(DataError, match="'clip_000' has no pred_map"):
        evaluate(metric, samples)


@every
def test_two_processes(metric):
    samples = make_samples(metric, 7)
    expected = evaluate(metric, samples)
    # two ranks take turns and the second one repeats a sample to fill up
    ranks = [samples[0::2], [*samples[1::2], samples[0]]]
    parts = []
    for own in ranks:
        part = metric(models=MODELS, **ALL[metric])
        for sample in own:
            part.process(None, [sample.to_dict()])
        parts.append(pickle.loads(pickle.dumps(part.results)))
    gathered = [item for pair in zip(*parts, strict=True) for item in pair][:7]
    merged = metric(models=MODELS, **ALL[metric]).compute_metrics(gathered)
    prefix = prefix_of(metric)
    assert {f'{prefix}/{key}': value for key, value in merged.items()} == expected


def evaluate_a_share(rank, world_size, port, folder):
    """One of several processes, each with its share of the samples."""
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(world_size),
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT=str(port),
    )
    torch.set_num_threads(1)
    dist.init_process_group('gloo')
    found = {}
    for metric in ALL:
        samples = make_samples(metric, 7)
        padded = [*samples, samples[0]]
        share = padded[rank::world_size]
        found[metric.__name__] = evaluate(metric, share, total=7)
    with open(f'{folder}/{rank}.json', 'w') as file:
        json.dump(found, file)
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_real_processes(tmp_path, warm_spawn):
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        port = server.getsockname()[1]
    mp.start_processes(
        evaluate_a_share, (2, port, str(tmp_path)), nprocs=2, start_method='spawn'
    )
    expected = {
        metric.__name__: evaluate(metric, make_samples(metric, 7)) for metric in ALL
    }
    for rank in range(2):
        assert json.loads((tmp_path / f'{rank}.json').read_text()) == expected


@every
def test_keys_are_numbers_under_the_name_of_the_protocol(metric):
    scores = evaluate(metric, make_samples(metric))
    assert all(key.startswith(f'{prefix_of(metric)}/') for key in scores)
    assert all(type(value) is float for value in scores.values())
    assert any('/a/' in key for key in scores)
    assert scores[f'{prefix_of(metric)}/n_evaluated'] == 9
    renamed = evaluate(metric, make_samples(metric), prefix='heard')
    assert all(key.startswith('heard/') for key in renamed)


@every
def test_logged_card(metric, logged):
    samples = make_samples(metric)
    evaluate(metric, samples, n_expected=11)
    text = logged()
    assert hash_ids(sample.sample_id for sample in samples) in text
    assert '9 evaluated of 11 expected (2 MISSING)' in text
    assert metric.__name__ in text


@every
def test_expected_count(metric):
    samples = make_samples(metric)
    key = f'{prefix_of(metric)}/n_expected'
    assert evaluate(metric, samples)[key] == 9
    assert evaluate(metric, samples, total=12)[key] == 12
    assert evaluate(metric, samples, n_expected=10)[key] == 10


@every
@pytest.mark.parametrize('value', [math.nan, math.inf, -0.5, 1.5])
def test_bad_predictions_are_refused_with_the_id(metric, value):
    samples = make_samples(metric)
    samples[4].pred_map.b = samples[4].pred_map.b.index_fill(1, torch.tensor(3), value)
    with pytest.raises(DataError, match=r'pred_map\.b.*clip_004.*in \[0, 1\]'):
        evaluate(metric, samples)


@every
def test_bad_ground_truth_is_refused_with_the_id(metric):
    samples = make_samples(metric)
    samples[1].gt_map[2, 2] = math.nan
    samples[1].gt_instances.bboxes[0, 0] = math.nan
    with pytest.raises(DataError, match='clip_001'):
        evaluate(metric, samples)


@every
def test_missing_fields_are_refused_with_the_id(metric):
    with pytest.raises(DataError, match=r"clip_000.*pred_map\.c.*\['a', 'b'\]"):
        metric(models=['c'], **ALL[metric]).process(
            None, [make_samples(metric)[0].to_dict()]
        )
    samples = make_samples(metric)
    del samples[1].gt_map
    del samples[1].gt_instances
    with pytest.raises(DataError, match=r'clip_001.*has no'):
        evaluate(metric, samples)


@every
def test_repeated_samples_are_refused(metric):
    samples = make_samples(metric)
    with pytest.raises(DataError, match='more than once: clip_001'):
        evaluate(metric, [*samples, samples[1]])


@every
def test_nothing_to_score(metric):
    with pytest.raises(DataError, match=f'{metric.__name__} has no sample'):
        evaluate(metric, [], total=0)


@pytest.mark.parametrize('kind', [ExtendedMetric, InteractiveMetric])
def test_a_batch_is_scored_as_its_samples_alone(kind):
    samples = [sample.to_dict() for sample in scored_samples(negative=True)]
    together, alone = kind(), kind()
    together.process(None, samples)
    for sample in samples:
        alone.process(None, [sample])
    assert together.results == alone.results
    assert {'gt_map', 'maps'}.isdisjoint(together.results[0])


def test_a_metric_of_one_s_own_may_have_rules():
    class Mean(MapMetric):
        rules = ('mean',)

        def measure(self, sample):
            return dict(mean=float(sample['pred_map']['a'].mean()))

        def score(self, items):
            return {'a': {'mean': 100 * items[0]['mean']}}, []

    metric = Mean()
    metric.process(None, [dict(sample_id='x', pred_map=dict(a=torch.ones(1, 2, 2)))])
    assert metric.evaluate(1)['a/mean'] == 100


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (dict(type='BoxAPMetric', size=0), 'size must be positive, got 0'),
        (dict(type='BoxAPMetric', box_cfg=dict(treshold=1)), "argument 'treshold'"),
        (
            dict(type='MultiSourceMetric', ciou_threshold=-1),
            r'ciou_threshold .* got -1',
        ),
        (dict(type='MultiSourceMetric', size=-1), 'size must be positive, got -1'),
        (
            dict(type='SegmentationMetric', threshold=2),
            r'threshold must be in \[0, 1\]',
        ),
        (dict(type='NegativeAudioMetric', threshold=-1), 'threshold must be in'),
        (dict(type='CIoUMetric', n_expected=0), 'n_expected must be positive'),
        (dict(type='CIoUMetric', collect_device='x'), "collect_device .* got 'x'"),
    ],
)
def test_settings_out_of_range_are_refused_before_anything_is_scored(settings, words):
    with pytest.raises((TypeError, ValueError), match=words):
        METRICS.build(settings)
