import math
import random

import pytest

from mmxpl.datasets.splits import choose_stratified, select_subset

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
    with pytest.raises(ValueError, match='fraction in'):
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
