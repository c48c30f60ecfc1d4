import pytest

from mmxpl.datasets.config_leaves import (
    annotations_only,
    config_leaves,
    dataset_config,
)
from mmxpl.utils import DataError

LABELED, UNLABELED = dict(labeled=True, name='l'), dict(name='u')
CFG = dict(
    train_dataloader=dict(
        dataset=dict(
            type='ConcatDataset',
            datasets=[dict(type='RepeatDataset', dataset=LABELED), UNLABELED],
        )
    ),
    val_dataloader=None,
    test_dataloader=[dict(dataset=dict(name='t1')), dict(dataset=dict(name='t2'))],
)


def test_wrappers_loaders_and_lists_are_walked_through():
    assert list(config_leaves(CFG['train_dataloader'])) == [LABELED, UNLABELED]
    assert [leaf['name'] for leaf in config_leaves(CFG['test_dataloader'])] == [
        't1',
        't2',
    ]
    assert list(config_leaves(None)) == []


def test_each_part_is_found():
    assert dataset_config(CFG, 'labeled') is LABELED
    assert dataset_config(CFG, 'unlabeled') is UNLABELED
    assert dataset_config(CFG, 'test') == dict(name='t1')
    with pytest.raises(DataError, match='--part val'):
        dataset_config(CFG, 'val')
    only = dict(train_dataloader=dict(dataset=UNLABELED))
    with pytest.raises(DataError, match='--part labeled'):
        dataset_config(only, 'labeled')


def test_ground_truth_is_drawn_without_a_media_file(spoilable_world):
    cfg = dict(
        type='VGGSSDataset',
        data_root=str(spoilable_world),
        id_list='train.txt',
        labeled=True,
        pipeline=[
            dict(type='LoadFrame', size=32),
            dict(type='RasterizeTargets', size=24),
        ],
    )
    # what would not decode is not looked at
    for path in (spoilable_world / 'frames').iterdir():
        path.write_bytes(b'no picture')
    item = annotations_only(cfg)[0]
    assert item['gt_map'].shape[-2:] == (24, 24)
    assert item['gt_map'].any()
    assert len(item['bboxes'])
    assert 'img' not in item
    with pytest.raises(DataError, match='labeled=True'):
        annotations_only({**cfg, 'labeled': False})
