import numpy as np
import pytest
import torch

from mmxpl.datasets import LoadAudio, LoadFrame, PackAVInputs, VGGSSDataset, av_collate
from mmxpl.registry import FUNCTIONS, TRANSFORMS
from mmxpl.structures import AVDataSample
from mmxpl.utils import DataError


def _results(**extra):
    rng = np.random.default_rng(0)
    return {
        'img': rng.integers(0, 256, (6, 9, 3), dtype=np.uint8),
        'audio': rng.standard_normal(11).astype(np.float32),
        'sample_id': 'a',
        'sample_idx': 4,
        'is_labeled': False,
        'category': None,
        'img_path': 'a.jpg',
        'audio_path': 'a.wav',
        'ori_shape': (60, 90),
        'img_shape': (6, 9),
        'bboxes': None,
        'mask': None,
        **extra,
    }


def test_unlabeled_clip():
    results = _results()
    packed = PackAVInputs()(results)
    img, audio = packed['inputs']['img'], packed['inputs']['audio']
    assert img.dtype == torch.uint8
    assert img.is_contiguous()
    assert (img.numpy() == results['img'].transpose(2, 0, 1)).all()
    assert audio.dtype == torch.float32
    assert (audio.numpy() == results['audio']).all()
    sample = packed['data_samples']
    assert isinstance(sample, AVDataSample)
    assert sample.metainfo == {
        key: value
        for key, value in results.items()
        if key not in ('img', 'audio', 'bboxes', 'mask')
    }
    assert 'gt_instances' not in sample
    assert 'gt_map' not in sample


def test_labeled_clip():
    boxes = [[0.1, 0.2, 0.3, 0.4], [0.5, 0.5, 1.0, 1.0]]
    gt_map = torch.ones(8, 8)
    packed = PackAVInputs()(_results(is_labeled=True, bboxes=boxes, gt_map=gt_map))
    sample = packed['data_samples']
    assert sample.gt_instances.bboxes.dtype == torch.float32
    torch.testing.assert_close(sample.gt_instances.bboxes, torch.tensor(boxes))
    assert (sample.gt_map == 1).all()


def test_more_meta_keys():
    keys = ('sample_id', 'category')
    sample = PackAVInputs(meta_keys=keys)(_results())['data_samples']
    assert set(sample.metainfo) == set(keys)


def test_missing_meta_key_raises():
    results = _results()
    del results['ori_shape']
    with pytest.raises(KeyError, match='ori_shape'):
        PackAVInputs()(results)


def test_whole_pipeline(tiny_world):
    pipeline = [
        {'type': 'LoadFrame', 'size': (40, 56)},
        {'type': 'LoadAudio', 'sample_rate': 8000, 'duration': 0.75},
        {'type': 'RasterizeTargets', 'size': 32},
        {'type': 'PackAVInputs'},
    ]
    common = {'data_root': str(tiny_world), 'id_list': 'train.txt'}
    labeled = VGGSSDataset(labeled=True, pipeline=pipeline, **common)[2]
    plain = VGGSSDataset(pipeline=pipeline, **common)[2]
    for packed in (labeled, plain):
        assert packed['inputs']['img'].shape == (3, 40, 56)
        assert packed['inputs']['audio'].shape == (6000,)
        assert packed['data_samples'].ori_shape == (48, 64)
        assert packed['data_samples'].img_shape == (40, 56)
        assert packed['data_samples'].sample_idx == 2
    assert labeled['data_samples'].gt_map.shape == (32, 32)
    assert 'gt_map' not in plain['data_samples']
    assert torch.equal(labeled['inputs']['img'], plain['inputs']['img'])


def test_reprs_build_again():
    for transform in (LoadFrame(5), LoadAudio(8000, 0.5, 1.5)):
        assert repr(eval(repr(transform))) == repr(transform)
    assert TRANSFORMS.get('PackAVInputs') is PackAVInputs


def _sample(n, height=4, length=7):
    return {
        'inputs': {
            'img': torch.full((3, height, 5), n, dtype=torch.uint8),
            'audio': torch.full((length,), n / 10),
        },
        'data_samples': AVDataSample(metainfo={'sample_id': f's{n}'}),
    }


def test_stacks_tensors_and_lists_samples():
    batch = av_collate([_sample(n) for n in range(3)])
    assert batch['inputs']['img'].shape == (3, 3, 4, 5)
    assert batch['inputs']['img'].dtype == torch.uint8
    assert batch['inputs']['audio'].shape == (3, 7)
    assert batch['inputs']['audio'].dtype == torch.float32
    assert batch['inputs']['img'][:, 0, 0, 0].tolist() == [0, 1, 2]
    assert [s.sample_id for s in batch['data_samples']] == ['s0', 's1', 's2']
    assert isinstance(batch['data_samples'], list)


@pytest.mark.parametrize('change', [{'height': 6}, {'length': 8}])
def test_other_shapes_name_the_sample(change):
    with pytest.raises(DataError, match=r"of 's1' has shape"):
        av_collate([_sample(0), _sample(1, **change)])


def test_is_registered():
    assert FUNCTIONS.get('av_collate') is av_collate
