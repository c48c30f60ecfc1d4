"""Both halves of a set read one fraction and one seed."""

import pytest

from mmxpl.datasets.config_leaves import config_leaves
from mmxpl.datasets.leaks import check_disjoint, collect_ids
from mmxpl.registry import DATASETS
from mmxpl.utils.errors import DataError


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
