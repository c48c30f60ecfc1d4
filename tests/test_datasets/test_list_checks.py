from pathlib import Path

import pytest

from mmxpl.datasets import read_id_list
from mmxpl.datasets.splits import (
    check_contents,
    check_lists,
    clean_lists,
    read_lists,
)
from mmxpl.utils import DataError, hash_ids

METADATA = Path(__file__).parents[2].parent / 'shared' / 'metadata'


@pytest.fixture
def lists(tmp_path):
    """Reads lists whose contents are given by name: ``train1='a b'``."""

    def lists(**contents):
        paths = {'train': [], 'val': [], 'test': []}
        for name, ids in contents.items():
            path = tmp_path / f'{name}.txt'
            path.write_text(ids.replace(' ', '\r\n'))
            paths[name.rstrip('0123456789')].append(str(path))
        return read_lists(paths)

    return lists


def _leaks(lists):
    return {name: leak['ids'] for name, leak in check_lists(lists)[1].items()}


def test_facts_of_each_list(lists):
    (train, test), _ = check_lists(lists(test='z', train='b a.jpg b a c'))
    assert (train['split'], test['split']) == ('train', 'test')
    assert train['count'] == 3
    assert train['duplicates'] == ['a', 'b']
    assert train['id_list_hash'] == hash_ids(['c', 'b', 'a'])
    assert test['duplicates'] == []


def test_shared_ids_by_pair_of_splits(lists):
    found = lists(train1='a b c', train2='c d', val='d e', test1='e a', test2='a f')
    assert _leaks(found) == {
        'train_train': ['c'],
        'train_val': ['d'],
        'train_test': ['a'],
        'val_test': ['e'],
    }


def test_only_given_splits_are_compared(lists):
    assert _leaks(lists(train='a', test='b')) == {'train_test': []}
    assert _leaks(lists(test1='a', test2='a')) == {}


def test_training_on_either_half_of_a_pair_is_a_leak(tmp_path):
    for name, text in (
        ('train.txt', 'sound\n'),
        ('test.csv', 'video,audio,label\nframe,sound,non-sounding\n'),
    ):
        (tmp_path / name).write_text(text)
    found = read_lists(
        {'train': [tmp_path / 'train.txt'], 'test': [tmp_path / 'test.csv']}
    )
    assert _leaks(found) == {'train_test': ['sound']}


def test_cleaned_lists_are_clean(lists, tmp_path):
    found = lists(
        train1='a b a c', train2='c i x', val1='d e', val2='d g k', test='e b h x'
    )
    written = clean_lists(found, {'h', 'g'}, tmp_path / 'clean')
    # test lists stay, validation gives way to them, training to both
    assert {Path(path).stem: read_id_list(path) for path, _, _ in written} == {
        'test': ['e', 'b', 'x'],
        'val1': ['d'],
        'val2': ['d', 'k'],
        'train1': ['a', 'c'],
        'train2': ['i'],
    }
    counts = {Path(path).stem: (new, old) for path, new, old in written}
    assert counts['test'] == (3, 4)
    assert counts['train1'] == (2, 4)


def test_a_cleaned_list_is_never_written_over_another(lists, tmp_path):
    found = lists(train='a b', test='b')
    clean_lists(found, (), tmp_path / 'clean')
    before = (tmp_path / 'clean' / 'train.txt').read_text()
    with pytest.raises(DataError, match='exists already'):
        clean_lists(found, (), tmp_path / 'clean')
    assert (tmp_path / 'clean' / 'train.txt').read_text() == before == 'a\n'
    with pytest.raises(DataError, match=r'test\.txt: exists already'):
        clean_lists(found, (), tmp_path)  # over the list itself
    with pytest.raises(DataError, match='no clip would be left'):
        clean_lists(lists(train='b', test='b'), (), tmp_path / 'none')
    assert not (tmp_path / 'none').exists()


def test_contents_in_two_splits(lists):
    found = lists(train='a b c', test='x y')
    groups = [['a', 'b'], ['c', 'x'], ['x', 'y']]
    assert check_contents(found, groups) == {'train_test': [['c', 'x']]}


@pytest.mark.skipif(
    not METADATA.is_dir(), reason=f'the published metadata is not at {METADATA}'
)
@pytest.mark.parametrize(
    ('train', 'tests', 'count'),
    [
        ('vggss_10k.txt', ['vggss_test.csv'], 238),
        ('flickr_10k.txt', ['flickr_test.csv'], 1),
        ('vggss_heard.txt', ['vggss_heard_test.csv', 'vggss_unheard_test.csv'], 0),
        ('flickr_sup_train.txt', ['flickr_test.csv'], 0),
    ],
)
def test_published_lists(train, tests, count):
    found = read_lists(
        {'train': [METADATA / train], 'test': [METADATA / name for name in tests]}
    )
    leak = check_lists(found)[1]['train_test']
    assert leak['count'] == len(leak['ids']) == count
    assert all(one['duplicates'] == [] for one in check_lists(found)[0])
