import pytest

from mmxpl.datasets.dataset_wrappers import (
    annotations_only,
    collect_ids,
    config_leaves,
    dataset_config,
)
from mmxpl.datasets.splits import check_disjoint
from mmxpl.datasets.transforms import RasterizeTargets
from mmxpl.registry import DATASETS
from mmxpl.utils import DataError


def config(root, fraction=0.25, seed=0):
    clips = dict(type='VGGSSDataset', data_root=str(root), id_list='train.txt')
    return dict(
        type='SplitDataset', dataset=clips, labeled_fraction=fraction, split_seed=seed
    )


@pytest.mark.parametrize(('fraction', 'labeled'), [(0.25, 2), (0.5, 4), (1.0, 8)])
def test_halves_are_disjoint_and_whole(tiny_world, fraction, labeled):
    built = DATASETS.build(config(tiny_world, fraction))
    halves = built.datasets
    assert [len(half) for half in halves] == [labeled, 8 - labeled]
    assert [half.labeled for half in halves] == [True, False]
    ids = [set(half.sample_ids) for half in halves]
    assert not ids[0] & ids[1]
    assert len(built) == 8


@pytest.mark.parametrize('fraction', [0, 1.5])
def test_a_wrong_share_is_named_as_it_is_set(tiny_world, fraction):
    with pytest.raises(ValueError, match=rf'labeled_fraction .* got {fraction}\.'):
        DATASETS.build(config(tiny_world, fraction))


@pytest.mark.parametrize('where', ['dataset', 'unlabeled'])
def test_what_the_split_decides_is_refused_elsewhere(tiny_world, where):
    cfg = dict(unlabeled={}, **config(tiny_world))
    cfg[where] = dict(cfg[where], fraction=0.5)
    with pytest.raises(DataError, match=rf'{where}\.fraction has no effect: set lab'):
        DATASETS.build(cfg)


def test_the_seed_chooses_for_both(tiny_world):
    one, other = (
        [
            half.sample_ids
            for half in DATASETS.build(config(tiny_world, 0.5, k)).datasets
        ]
        for k in (0, 1)
    )
    assert one[0] != other[0]
    assert sorted(one[0] + one[1]) == sorted(other[0] + other[1])


def test_a_config_s_leaves_are_the_halves(tiny_world):
    cfg = config(tiny_world, 0.5, 3)
    leaves = list(config_leaves(dict(dataset=cfg)))
    built = [DATASETS.build(leaf).sample_ids for leaf in leaves]
    assert built == [half.sample_ids for half in DATASETS.build(cfg).datasets]
    parts = collect_ids(train=cfg)
    assert [name.split(' (')[0] for name in parts] == [
        'train labeled',
        'train unlabeled',
    ]
    check_disjoint(parts)
    with pytest.raises(DataError, match='share 4 ids'):
        check_disjoint(collect_ids(train=cfg, test=leaves[0]))


def test_settings_of_the_unlabeled_half_leave_the_labeled_one_alone(tiny_world):
    wild = dict(config(tiny_world, 0.5), unlabeled=dict(audio_swap=1.0))
    plain, swapped = (
        [
            [half.get_data_info(i)['audio_path'] for i in range(len(half))]
            for half in DATASETS.build(cfg).datasets
        ]
        for cfg in (config(tiny_world, 0.5), wild)
    )
    assert plain[0] == swapped[0]
    assert all(a != b for a, b in zip(plain[1], swapped[1], strict=True))


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
            dict(type=RasterizeTargets, size=24),  # as a lazy config has it
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
