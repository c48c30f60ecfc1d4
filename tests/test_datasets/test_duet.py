import pytest
import torch

from mmxpl.datasets import AVJsonDataset, DuetDataset
from mmxpl.evaluation import MultiSourceMetric
from mmxpl.registry import MODELS
from mmxpl.testing import tiny_model_cfg
from mmxpl.utils import DataError


def inner_cfg(root, **overrides):
    cfg = dict(
        type='AVJsonDataset',
        data_root=str(root),
        labeled=True,
        test_mode=True,
        pipeline=[
            dict(type='LoadFrame', size=48),
            dict(type='LoadAudio', sample_rate=8000, duration=0.5),
            dict(type='RasterizeTargets', size=32),
            dict(type='PackAVInputs'),
        ],
    )
    return {**cfg, **overrides}


def plain(root):
    cfg = inner_cfg(root)
    del cfg['type']
    return AVJsonDataset(**cfg)


def test_two_clips_in_one(tiny_world):
    dataset, inner = DuetDataset(inner_cfg(tiny_world)), plain(tiny_world)
    places = {name: i for i, name in enumerate(inner.sample_ids)}
    assert len(dataset) == 12
    for i in range(12):
        packed = dataset[i]
        sample = packed['data_samples']
        names = sample.sample_id.split('+')
        assert names[0] == inner.sample_ids[i] != names[1]
        left, right = (inner[places[name]] for name in names)
        img = packed['inputs']['img']
        assert img.shape == (3, 48, 96)
        assert sample.img_shape == (48, 96)
        assert torch.equal(img[..., :48], left['inputs']['img'])
        assert torch.equal(img[..., 48:], right['inputs']['img'])
        both = left['inputs']['audio'] + right['inputs']['audio']
        assert torch.equal(packed['inputs']['audio'], both)
        parts = [p['data_samples'].gt_instances.bboxes for p in (left, right)]
        boxes, source = sample.gt_instances.bboxes, sample.gt_instances.source_ids
        assert source.tolist() == [0] * len(parts[0]) + [1] * len(parts[1])
        for k, part in enumerate(parts):
            scaled = boxes[source == k] * torch.tensor([2, 1, 2, 1])
            torch.testing.assert_close(scaled - torch.tensor([k, 0, k, 0]), part)
        # the halves of the map are the maps of the clips, half as wide
        for k, p in enumerate((left, right)):
            half = sample.gt_map[:, 16 * k : 16 * (k + 1)].mean()
            assert half.item() == pytest.approx(
                p['data_samples'].gt_map.mean().item(), abs=0.1
            )


def test_different_classes_sound(tiny_world):
    dataset, inner = DuetDataset(inner_cfg(tiny_world)), plain(tiny_world)
    heard = {
        inner.get_data_info(i)['sample_id']: {
            o['category'] for o in inner.get_data_info(i)['objects'] if o['sounding']
        }
        for i in range(12)
    }
    ids = [dataset[i]['data_samples'].sample_id for i in range(12)]
    for name in ids:
        left, right = name.split('+')
        assert not heard[left] & heard[right]
    again = DuetDataset(inner_cfg(tiny_world))
    assert [again[i]['data_samples'].sample_id for i in range(12)] == ids
    other = DuetDataset(inner_cfg(tiny_world), seed=1)
    assert [other[i]['data_samples'].sample_id for i in range(12)] != ids


def test_model_and_metric_take_it(tiny_world):
    dataset = DuetDataset(inner_cfg(tiny_world))
    torch.manual_seed(0)
    model = MODELS.build(tiny_model_cfg()).eval()
    metric = MultiSourceMetric(assignment='shared', size=32)
    with torch.no_grad():
        for i in range(3):
            packed = dataset[i]
            batch = dict(
                inputs={k: v[None] for k, v in packed['inputs'].items()},
                data_samples=[packed['data_samples']],
            )
            (found,) = model.test_step(batch)
            assert found.pred_map.a.shape == (1, 6, 12)
            metric.process(None, [found.to_dict()])
    scores = metric.evaluate(3)
    assert 0 < scores['multi_source/a/AP'] < 100
    assert metric.results == []


def test_what_it_refuses(tiny_world, spoilable_world):
    with pytest.raises(DataError, match='labeled=True'):
        DuetDataset(inner_cfg(tiny_world, labeled=False))
    with pytest.raises(IndexError):
        DuetDataset(inner_cfg(tiny_world))[12]
    # two clips of one class
    (spoilable_world / 'two.txt').write_text('clip-01\nclip-07\n')
    with pytest.raises(DataError, match=r"suits 'clip-01' \(duet\)"):
        DuetDataset(inner_cfg(spoilable_world, id_list='two.txt')).full_init()


def test_listed_pairs(spoilable_world):
    root = spoilable_world
    rows = ['clip-01,a,clip-03,b', 'clip-03.jpg,a,clip-01,b', 'clip-05,a,clip-00,c']
    (root / 'pairs.csv').write_bytes('\r\n'.join(rows).encode())
    dataset = DuetDataset(inner_cfg(root), pairs='pairs.csv')
    ids = [dataset[i]['data_samples'].sample_id for i in range(len(dataset))]
    assert ids == ['clip-01+clip-03', 'clip-03+clip-01', 'clip-05+clip-00']
    assert dataset.metainfo['n_expected'] == 3
    # the inner set need not hold more than the listed clips
    (root / 'some.txt').write_text('clip-01\nclip-03\nclip-05\n')
    dataset = DuetDataset(inner_cfg(root, id_list='some.txt'), pairs='pairs.csv')
    assert len(dataset) == 2
    assert dataset.metainfo['n_expected'] == 3
    with pytest.raises(IndexError):
        dataset[2]
    (root / 'some.txt').write_text('clip-07\nclip-08\n')
    with pytest.raises(DataError, match='3 of 3 pairs is not in the data set'):
        len(DuetDataset(inner_cfg(root, id_list='some.txt'), pairs='pairs.csv'))
    (root / 'pairs.csv').write_text('clip-01,clip-03\n')
    with pytest.raises(DataError, match=r'row 1: a pair has four fields'):
        len(DuetDataset(inner_cfg(root), pairs='pairs.csv'))


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (
            '',
            r'pairs\.csv: the list of pairs holds no pair\. Put left id, class, right',
        ),
        (' \n,,,\n', 'the list of pairs holds no pair'),
        ('a,x,b,y\nclip-01,x,,y\n', 'row 2: an id is empty'),
        (',x,clip-01,y\n', 'row 1: an id is empty'),
        (None, 'list of pairs cannot be read .*left id, class.* pairs in a config'),
    ],
)
def test_a_list_that_is_none_of_pairs_is_named_as_such(
    spoilable_world, content, message
):
    if content is not None:
        (spoilable_world / 'pairs.csv').write_text(content)
    dataset = DuetDataset(inner_cfg(spoilable_world), pairs='pairs.csv')
    with pytest.raises(DataError, match=message):
        len(dataset)
    with pytest.raises(DataError, match=message):
        dataset.metainfo  # noqa: B018


@pytest.mark.parametrize('pairs', ['', ['a'], 3])
def test_pairs_is_a_path(tiny_world, pairs):
    with pytest.raises(DataError, match='pairs must be the path of a csv file'):
        DuetDataset(inner_cfg(tiny_world), pairs=pairs)
