import math
import random
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.dataset import ConcatDataset, RepeatDataset
from torch.utils.data import DataLoader, Dataset

from mmxpl.datasets import (
    VGGSSDataset,
    check_disjoint,
    collect_ids,
    read_id_list,
)
from mmxpl.datasets.splits import choose_stratified, select_subset
from mmxpl.utils import DataError

IDS = [f'clip-{n:04d}' for n in range(1000)]


@pytest.mark.parametrize('fraction', [0.001, 0.05, 0.1, 0.5, 0.999, 1.0])
@pytest.mark.parametrize('seed', [0, 7])
def test_parts_are_disjoint_and_complementary(fraction, seed):
    labeled = select_subset(IDS, 'labeled', fraction, seed)
    unlabeled = select_subset(IDS, 'unlabeled', fraction, seed)
    assert len(labeled) == round(fraction * len(IDS))
    assert sorted(labeled + unlabeled) == IDS
    assert labeled == sorted(labeled)  # the order of the list is kept


def test_the_split_depends_on_ids_fraction_and_seed_alone():
    labeled = select_subset(IDS, 'labeled', 0.1, 3)
    shuffled = random.Random(0).sample(IDS, len(IDS))
    assert set(select_subset(shuffled, 'labeled', 0.1, 3)) == set(labeled)
    assert set(select_subset(IDS, 'labeled', 0.1, 4)) != set(labeled)
    assert set(select_subset(IDS, 'labeled', 0.05, 3)) < set(labeled)
    # a change of these would silently change every published split
    assert labeled[:3] == ['clip-0039', 'clip-0059', 'clip-0077']


def test_labels_are_spread_over_the_list():
    labeled = set(select_subset(IDS, 'labeled', 0.2, 0))
    for start in range(0, 1000, 250):
        share = sum(i in labeled for i in IDS[start : start + 250]) / 250
        assert 0.1 < share < 0.3


def test_small_sets_keep_one_of_each():
    assert len(select_subset(['a', 'b', 'c'], 'labeled', 0.01)) == 1
    assert len(select_subset(['a', 'b', 'c'], 'unlabeled', 0.99)) == 1
    assert select_subset(['a'], 'labeled', 0.5) == ['a']
    assert select_subset(['b', 'a'], 'all') == ['b', 'a']


@pytest.mark.parametrize('fraction', [None, 0, -0.1, 1.5, '0.1', True, float('nan')])
def test_bad_fractions_are_refused(fraction):
    with pytest.raises(ValueError, match=r'labeled_fraction.* in \(0, 1\]'):
        select_subset(IDS, 'labeled', fraction)


def test_unknown_subset_is_refused():
    with pytest.raises(ValueError, match="'train'"):
        select_subset(IDS, 'train')


@pytest.mark.parametrize('count', [0, 1, 7, 50, 99, 100])
@pytest.mark.parametrize('seed', [0, 1])
def test_every_class_has_its_share(count, seed):
    rng = random.Random(seed)
    classes = {f'id{n}': rng.choice('aaaaaabbbcd') for n in range(95)}
    ids = [*classes, *(f'other{n}' for n in range(5))]  # without a class
    chosen = choose_stratified(ids, classes, count, seed)
    assert len(chosen) == len(set(chosen)) == count
    assert chosen == [i for i in ids if i in set(chosen)]
    for name in 'abcd':
        members = {i for i, c in classes.items() if c == name}
        share = len(members) * count / len(ids)
        assert math.floor(share) <= len(members & set(chosen)) <= math.ceil(share)


def test_the_choice_depends_on_ids_and_seed_alone():
    classes = {f'id{n}': 'ab'[n % 2] for n in range(40)}
    ids = list(classes)
    first = choose_stratified(ids, classes, 10, 3)
    assert sorted(choose_stratified(ids[::-1], classes, 10, 3)) == sorted(first)
    assert choose_stratified(ids, classes, 10, 4) != first
    # a known answer: another release must not divide differently
    assert choose_stratified(list('abcdefgh'), {}, 3) == ['c', 'e', 'g']
    with pytest.raises(ValueError, match=r'\[0, 40\], got 41'):
        choose_stratified(ids, classes, 41)


METADATA = Path(__file__).parents[2].parent / 'shared' / 'metadata'
TRAIN = [f'clip-{n:02d}' for n in range(8)]


def test_disjoint_parts_pass():
    check_disjoint({})
    check_disjoint({'a': ['x', 'y'], 'b': ['z'], 'c': []})


def test_shared_ids_are_counted_and_named():
    with pytest.raises(DataError) as info:
        check_disjoint(
            {
                'labeled': [f'{n:02d}' for n in range(10)],
                'test': [f'{n:02d}' for n in range(3, 20)],
                'val': ['19', 'x'],
            }
        )
    message = str(info.value)
    assert "'labeled' and 'test' share 7 ids (03, 04, 05, 06, 07, ...)" in message
    assert "'test' and 'val' share 1 ids (19)" in message
    assert "'labeled' and 'val'" not in message


@pytest.mark.skipif(
    not METADATA.is_dir(), reason=f'the published metadata is not at {METADATA}'
)
@pytest.mark.parametrize(
    ('train', 'test', 'count'),
    [
        ('vggss_10k.txt', 'vggss_test.csv', 238),
        ('flickr_10k.txt', 'flickr_test.csv', 1),
        ('vggss_heard.txt', 'vggss_heard_test.csv', 0),
        ('vggss_heard.txt', 'vggss_unheard_test.csv', 0),
    ],
)
def test_leaks_of_published_lists_are_found(train, test, count):
    lists = {name: read_id_list(METADATA / name) for name in (train, test)}
    if count:
        with pytest.raises(DataError, match=f'share {count} ids'):
            check_disjoint(lists)
    else:
        check_disjoint(lists)


def _cfg(root, **changes):
    common = {'type': 'VGGSSDataset', 'data_root': str(root)}
    parts = {
        'labeled': {**common, 'id_list': 'train.txt', 'labeled': True},
        'unlabeled': {**common, 'id_list': 'train.txt'},
        'val': {**common, 'id_list': 'val.txt', 'labeled': True},
        'test': {**common, 'id_list': 'test.txt', 'labeled': True},
    }
    parts['labeled'].update(subset='labeled', fraction=0.25)
    parts['unlabeled'].update(subset='unlabeled', fraction=0.25)
    for name, change in changes.items():
        parts[name].update(change)
    return Config(
        {
            'train_dataloader': {
                'dataset': {
                    'type': 'ConcatDataset',
                    'datasets': [parts['labeled'], parts['unlabeled']],
                }
            },
            'val_dataloader': {'dataset': parts['val']},
            'test_dataloader': {'dataset': parts['test']},
        }
    )


def collect_config_ids(cfg):
    names = ('train', 'val', 'test')
    return collect_ids(**{name: cfg.get(f'{name}_dataloader') for name in names})


def test_ids_of_a_config(tiny_world):
    parts = collect_config_ids(_cfg(tiny_world))
    root = f'{tiny_world}/'
    assert list(parts) == [
        f'train labeled ({root}train.txt)',
        f'train unlabeled ({root}train.txt)',
        f'val ({root}val.txt)',
        f'test ({root}test.txt)',
    ]
    labeled, unlabeled, val, test = parts.values()
    assert sorted(labeled + unlabeled) == TRAIN
    assert len(labeled) == 2
    assert val == ['clip-08', 'clip-09']
    assert test == ['clip-10', 'clip-11']
    check_disjoint(parts)


def test_lists_suffice(spoilable_world):
    expected = collect_config_ids(_cfg(spoilable_world))
    for folder in ('frames', 'audio'):
        for path in (spoilable_world / folder).iterdir():
            path.unlink()
    (spoilable_world / 'vggss.json').unlink()
    assert collect_config_ids(_cfg(spoilable_world)) == expected


def test_absent_splits_are_left_out(tiny_world):
    cfg = _cfg(tiny_world)
    cfg.val_dataloader = None
    cfg.pop('test_dataloader')
    assert len(collect_config_ids(cfg)) == 2


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            {'labeled': {'split_seed': 9}},
            "'train labeled .*'train unlabeled .*share",
        ),
        (
            {'labeled': {'subset': 'all'}},
            'train labeled .*train unlabeled .*share 2',
        ),
        ({'test': {'id_list': 'train.txt'}}, 'train labeled .*test .*share'),
        ({'val': {'id_list': 'train.txt'}}, 'train unlabeled .*val .*share'),
        ({'val': {'id_list': 'test.txt'}}, 'val .*test .*share 2'),
    ],
)
def test_leaks_of_a_config_are_refused(tiny_world, changes, message):
    if changes.get('labeled', {}).get('subset') == 'all':
        changes['unlabeled'] = {'subset': 'labeled'}
    with pytest.raises(DataError, match=message):
        check_disjoint(collect_config_ids(_cfg(tiny_world, **changes)))


def test_two_labeled_lists_that_overlap_are_refused(spoilable_world):
    (spoilable_world / 'second.txt').write_text('clip-07\nclip-08\n')
    sets = [
        VGGSSDataset(data_root=str(spoilable_world), id_list=name, labeled=True)
        for name in ('train.txt', 'second.txt')
    ]
    with pytest.raises(DataError, match=r'train\.txt.*second\.txt.*1 ids \(clip-07\)'):
        check_disjoint(collect_ids(train=ConcatDataset(sets)))


def test_the_same_list_twice_is_seen(tiny_world):
    sets = [
        VGGSSDataset(data_root=str(tiny_world), id_list='train.txt', labeled=True)
        for _ in range(2)
    ]
    parts = collect_ids(train=ConcatDataset(sets))
    assert [name.split(')')[1] for name in parts] == ['', ' #2']
    with pytest.raises(DataError, match='share 8 ids'):
        check_disjoint(parts)


def test_built_sets_wrappers_and_loaders(tiny_world):
    dataset = VGGSSDataset(
        data_root=str(tiny_world), id_list='train.txt', indices=[1, 3]
    )
    (ids,) = collect_ids(train=DataLoader(RepeatDataset(dataset, 3))).values()
    assert ids == ['clip-01', 'clip-03']
    lazy = {
        'type': 'RepeatDataset',
        'times': 2,
        'dataset': {
            'type': 'VGGSSDataset',
            'data_root': str(tiny_world),
            'id_list': 'train.txt',
            'indices': [1, 3],
        },
    }
    assert list(collect_ids(train={'dataset': lazy}).values()) == [ids]


def test_a_set_without_ids_is_named():
    class Anonymous(Dataset):
        def __len__(self):
            return 1

    with pytest.raises(DataError, match="Anonymous has no attribute 'sample_ids'"):
        collect_ids(val=Anonymous())
