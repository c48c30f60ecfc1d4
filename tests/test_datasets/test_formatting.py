from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask

from mmxpl.datasets import (
    LoadAudio,
    LoadFrame,
    PackAVInputs,
    RasterizeTargets,
    VGGSSDataset,
    av_collate,
)
from mmxpl.datasets.transforms.formatting import SampleList
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


def test_steps_that_are_missing_are_named():
    results = _results()
    del results['audio'], results['ori_shape']
    with pytest.raises(DataError, match="'.+' has no ori_shape, audio. Add the steps"):
        PackAVInputs()(results)
    with pytest.raises(DataError, match='does not end with PackAVInputs'):
        av_collate([results])
    with pytest.raises(DataError, match='does not end with PackAVInputs'):
        av_collate([dict(inputs=torch.zeros(3, 6, 9))])  # of PackDetInputs


def test_more_meta_keys():
    keys = ('sample_id', 'category')
    sample = PackAVInputs(meta_keys=keys)(_results())['data_samples']
    assert set(sample.metainfo) == set(keys)


@pytest.mark.parametrize(
    'step',
    [
        dict(type='mmdet.RandomFlip', prob=1.0),
        dict(type='mmcv.RandomFlip', prob=1.0),
        dict(type='mmdet.RandomCrop', crop_size=(20, 20)),
        dict(type='mmdet.Pad', size=(60, 60)),
        dict(type='mmdet.Resize', scale=(80, 80), keep_ratio=True),
        dict(type='mmdet.Rotate', prob=1.0),
        dict(type='mmcv.CenterCrop', crop_size=20),
    ],
)
def test_a_step_that_moves_frames_without_their_boxes_is_refused(tiny_world, step):
    steps = [
        dict(type='LoadFrame', size=40),
        step,
        dict(type='LoadAudio', sample_rate=8000, duration=0.75),
        dict(type='RasterizeTargets', size=32),
        dict(type='PackAVInputs'),
    ]
    common = {'data_root': str(tiny_world), 'id_list': 'train.txt'}
    dataset = VGGSSDataset(labeled=True, pipeline=steps, **common)
    with pytest.raises(DataError, match='its boxes and maps do not follow.*augment'):
        dataset[2]


@pytest.mark.parametrize('scope', ['mmcv', 'mmdet'])
@pytest.mark.parametrize('cropped', [False, True])
def test_the_whole_frame_may_be_resized(tiny_world, scope, cropped):
    steps = [
        dict(type='mmcv.LoadImageFromFile'),
        dict(type=f'{scope}.RandomFlip', prob=0.0),
        dict(type=f'{scope}.Resize', scale=(33, 22), keep_ratio=False),
        dict(type='LoadAudio', sample_rate=8000, duration=0.75),
        dict(type='PackAVInputs'),
    ]
    if cropped:
        steps.insert(1, dict(type='mmcv.CenterCrop', crop_size=20))
    dataset = VGGSSDataset(str(tiny_world), id_list='train.txt', pipeline=steps)
    if cropped:
        with pytest.raises(DataError, match='its boxes and maps do not follow'):
            dataset[2]
    else:
        assert dataset[2]['inputs']['img'].shape == (3, 22, 33)


def test_a_step_that_crops_frames_without_a_word_is_refused():
    results = _results(loaded_shape=(8, 9))
    with pytest.raises(DataError, match=r'a frame of \(6, 9\)'):
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


def _rle(mask):
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {'size': rle['size'], 'counts': rle['counts'].decode('ascii')}


def _run(size, source='boxes', **label):
    results = {'sample_id': 'a', 'is_labeled': True, 'bboxes': None, 'mask': None}
    results.update(label)
    return RasterizeTargets(size, source)(results).get('gt_map')


def test_union_of_boxes_as_the_protocol_draws_it():
    rng = np.random.default_rng(0)
    corners = rng.random((50, 2, 2, 2))
    # 224 * 0.296875 is a whole number: float32 would truncate it elsewhere
    boxes = np.concatenate([corners.min(1), corners.max(1)], axis=-1)
    boxes[0, 0, 0] = 0.296875
    for pair in boxes.tolist():
        expected = np.zeros((224, 224))
        for x1, y1, x2, y2 in pair:
            rows = slice(int(224 * y1), int(224 * y2))
            expected[rows, int(224 * x1) : int(224 * x2)] = 1
        gt_map = _run(224, bboxes=pair)
        assert gt_map.dtype == torch.float32
        assert (gt_map.numpy() == expected).all()


def test_mask_is_resized_by_area():
    rng = np.random.default_rng(1)
    mask = rng.random((64, 96)) < 0.5
    cells = mask.reshape(16, 4, 16, 6).mean(axis=(1, 3))
    gt_map = _run(16, 'mask', mask=_rle(mask))
    assert (cells == 0.5).any()  # ties count as covered
    assert (gt_map.numpy() == (cells >= 0.5)).all()


def test_a_small_mask_is_enlarged_in_place():
    mask = np.zeros((6, 8))
    mask[2:5, 1:4] = 1
    gt_map = _run(48, 'mask', mask=_rle(mask)).numpy()
    inner = np.zeros((48, 48))
    inner[16:40, 6:24] = 1
    assert (gt_map != inner).mean() < 0.03
    rows, columns = np.nonzero(gt_map)
    assert abs(rows.mean() - 27.5) < 0.5
    assert abs(columns.mean() - 14.5) < 0.5


def test_unlabeled_clips_pass_unchanged():
    results = {'sample_id': 'a', 'is_labeled': False, 'bboxes': None}
    assert RasterizeTargets()(dict(results)) == results


@pytest.mark.parametrize('source', ['boxes', 'mask'])
def test_a_labeled_clip_without_the_source_is_named(source):
    other = {'mask': _rle(np.ones((2, 2)))} if source == 'boxes' else {}
    with pytest.raises(DataError, match=f"'a' has no .*source='{source}'"):
        _run(8, source, **other)


def test_a_damaged_mask_is_named():
    with pytest.raises(DataError, match="mask of 'a': the runs"):
        _run(8, 'mask', mask={'size': [4, 4], 'counts': 'zz'})


def test_unknown_source_is_refused():
    with pytest.raises(ValueError, match="'polygon'"):
        RasterizeTargets(source='polygon')
    with pytest.raises(ValueError, match='size must be positive, got -1'):
        RasterizeTargets(size=-1)


def test_samples_cross_processes_with_their_tensors():
    """In one piece of shared memory, and each tensor with a storage of its own."""
    sample = AVDataSample(metainfo={'sample_id': 'x', 'ori_shape': (4, 5)})
    sample.gt_instances = InstanceData(
        bboxes=torch.rand(3, 4), source_ids=torch.tensor([0, 1, 1])
    )
    sample.gt_map = torch.rand(6, 8).T
    sample.kept = torch.tensor([True, False, True])  # of an odd number of bytes
    sample.half = torch.rand(5, dtype=torch.bfloat16)
    sample.column = torch.rand(5, 4)[:, 2]  # a stride, though of one dimension
    sample.conjugate = torch.rand(3, dtype=torch.complex64).conj()
    sample.learnt = torch.rand(3, requires_grad=True)
    sample.sparse = torch.eye(3).to_sparse()
    nothing = AVDataSample(metainfo={'sample_id': 'y'})
    nothing.gt_instances = InstanceData(bboxes=torch.zeros(0, 4))
    batch = av_collate(
        [{'inputs': {}, 'data_samples': s} for s in (sample, nothing, sample)]
    )
    sent = ForkingPickler.dumps(batch['data_samples'])
    first, other, third = ForkingPickler.loads(sent)
    assert first is third
    assert first.metainfo == sample.metainfo
    assert first.learnt.requires_grad
    assert torch.equal(first.learnt, sample.learnt)
    assert torch.equal(first.sparse.to_dense(), torch.eye(3))
    for name in ('gt_map', 'kept', 'half', 'column', 'conjugate'):
        found = first.get(name)
        assert found.dtype == sample.get(name).dtype
        assert torch.equal(found, sample.get(name))
        assert found.untyped_storage().nbytes() == found.nbytes
    for name, value in sample.gt_instances.items():
        assert torch.equal(first.gt_instances[name], value)
    assert other.sample_id == 'y'
    assert other.gt_instances.bboxes.shape == (0, 4)
    first.gt_map[:] = 0  # writable, and not that of the sender
    assert sample.gt_map.any()
    # nothing to send but meta information
    sent = ForkingPickler.dumps(SampleList([AVDataSample(metainfo={'sample_id': 'z'})]))
    (alone,) = ForkingPickler.loads(sent)
    assert alone.sample_id == 'z'
