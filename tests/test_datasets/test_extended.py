import json

import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import PixelData

from mmxpl.datasets import ExtendedDataset, VGGSSDataset
from mmxpl.datasets.extended import read_pairs
from mmxpl.utils import DataError

PAIRS = (
    'video,audio,label\r\n'
    'clip-00,clip-07,non-sounding\r\n'
    'clip-10.jpg,clip-03.wav,non-sounding\r\n'
    '\r\n'
    'clip-02,clip-02,non-sounding\r\n'
)


def inner_cfg(root, **overrides):
    cfg = dict(
        type='VGGSSDataset',
        data_root=str(root),
        labelled=True,
        test_mode=True,
        id_list='val.txt',
        pipeline=[
            dict(type='LoadFrame', size=48),
            dict(type='LoadAudio', sample_rate=8000, duration=0.5),
            dict(type='RasterizeTargets', size=32),
            dict(type='PackAVInputs'),
        ],
    )
    return {**cfg, **overrides}


@pytest.fixture
def world(spoilable_world):
    (spoilable_world / 'plus_silent.csv').write_bytes(PAIRS.encode())
    return spoilable_world


def test_clips_come_first_then_pairs(world):
    dataset = ExtendedDataset(inner_cfg(world), 'plus_silent.csv')
    inner = VGGSSDataset(**{k: v for k, v in inner_cfg(world).items() if k != 'type'})
    assert len(dataset) == 5
    names = [
        'clip-08',
        'clip-09',
        'clip-00+clip-07@non-sounding',
        'clip-10+clip-03@non-sounding',
        'clip-02+clip-02@non-sounding',
    ]
    assert dataset.sample_ids == names
    packed = [dataset[i] for i in range(5)]
    samples = [p['data_samples'] for p in packed]
    assert [s.sample_id for s in samples] == names
    assert [s.audio_kind for s in samples] == ['original'] * 2 + ['non-sounding'] * 3
    for i in range(2):
        assert torch.equal(packed[i]['inputs']['audio'], inner[i]['inputs']['audio'])
        assert torch.equal(samples[i].gt_map, inner[i]['data_samples'].gt_map)
    # the frame of one clip, the sound of the other
    whole = VGGSSDataset(
        **{k: v for k, v in inner_cfg(world, id_list=None).items() if k != 'type'}
    )
    assert torch.equal(packed[3]['inputs']['img'], whole[10]['inputs']['img'])
    assert torch.equal(packed[3]['inputs']['audio'], whole[3]['inputs']['audio'])
    for sample in samples[2:]:
        assert not sample.gt_map.any()
        assert sample.gt_instances.bboxes.shape == (0, 4)
    assert dataset.metainfo['n_expected'] == 5


def test_scored_by_the_extended_metric(world):
    dataset = ExtendedDataset(inner_cfg(world), 'plus_silent.csv')
    evaluator = Evaluator(dict(type='mmxpl.ExtendedMetric', models=['a'], rule='fixed'))
    evaluator.dataset_meta = dataset.metainfo
    for i in range(5):
        sample = dataset[i]['data_samples']
        # right and sure where something sounds, unsure elsewhere
        found = sample.gt_map if i < 2 else torch.full((32, 32), 0.1)
        sample.pred_map = PixelData(a=found[None])
        evaluator.process([sample])
    scores = evaluator.evaluate(5)
    assert scores['extended/n_expected'] == 5
    assert scores['extended/a/max-F1'] == 100


def test_missing_files_follow_the_policy(world, logged):
    (world / 'audio' / 'clip-07.wav').unlink()
    with pytest.raises(DataError, match=r'1 of 3 ids.*plus_silent.*clip-07'):
        len(ExtendedDataset(inner_cfg(world), 'plus_silent.csv'))
    dataset = ExtendedDataset(inner_cfg(world, missing='skip'), 'plus_silent.csv')
    assert len(dataset) == 4
    assert dataset.metainfo['n_expected'] == 5
    assert 'clip-07' in logged()


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (None, 'cannot be read'),
        ('', 'got nothing'),
        ('clip-00,clip-01,non-sounding\n', 'first row must be video,audio,label'),
        ('video,audio,label\n', 'holds no pair'),
        ('video,audio,label\na,b,sounding\n', r'row 2: must be .*non-sounding'),
        ('video,audio,label\na,b\n', 'row 2: must be'),
        ('video,audio,label\n../a,b,non-sounding\n', 'row 2: the id .* leads out'),
        ('video,audio,label\n' + 'a,b,non-sounding\n' * 2, r'more than once \(a\+b\)'),
    ],
)
def test_bad_lists(tmp_path, text, message):
    path = tmp_path / 'pairs.csv'
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_pairs(str(path))


def test_needs_labels(world):
    with pytest.raises(DataError, match='labelled=True'):
        ExtendedDataset(inner_cfg(world, labelled=False), 'plus_silent.csv')
    with pytest.raises(IndexError):
        ExtendedDataset(inner_cfg(world), 'plus_silent.csv')[5]


@pytest.mark.parametrize(('name', 'count'), [('vggss', 5158), ('flickr', 250)])
def test_public_lists(name, count, request):
    path = (
        request.config.rootpath.parent / f'shared/metadata/{name}_test_plus_silent.csv'
    )
    if not path.is_file():
        pytest.skip(f'{path} is not here')
    pairs = read_pairs(str(path))
    assert len(pairs) == len(set(pairs)) == count
    assert not any('\r' in part for pair in pairs for part in pair)


def test_json_entries_may_share_a_frame(spoilable_world):
    """How interactive sets are written: one entry for each sound of a frame."""
    from mmxpl.datasets import AVJsonDataset

    path = spoilable_world / 'annotations.json'
    content = json.loads(path.read_text())
    first, second = content['data_list'][:2]
    second['img_path'] = first['img_path']
    path.write_text(json.dumps(content))
    cfg = inner_cfg(spoilable_world, id_list=None)
    del cfg['type']
    a, b = (AVJsonDataset(**cfg)[i] for i in range(2))
    assert a['data_samples'].img_path == b['data_samples'].img_path
    assert not torch.equal(a['inputs']['audio'], b['inputs']['audio'])
