from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.dataset import ConcatDataset, RepeatDataset
from torch.utils.data import DataLoader, Dataset

from mmxpl.datasets import (
    VGGSSDataset,
    check_disjoint,
    collect_config_ids,
    collect_ids,
    read_id_list,
)
from mmxpl.utils import DataError

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
