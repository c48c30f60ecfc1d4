import numpy as np
import pytest

from mmxpl.datasets.clip_pairing import choose_partners, clip_classes, rng_of
from mmxpl.utils import DataError

IDS = [f'clip{i}' for i in range(40)]
GROUP = dict(zip(IDS, (int(i[4:]) % 3 for i in IDS), strict=True))


def partners_by_id(ids, seed=0, purpose='swap'):
    def suits(i, j):
        return GROUP[ids[i]] != GROUP[ids[j]]

    found = choose_partners(ids, suits, purpose, seed)
    return {ids[i]: ids[j] for i, j in enumerate(found)}


def test_a_partner_suits_and_is_another_clip():
    found = partners_by_id(IDS)
    assert set(found) == set(IDS)
    assert all(GROUP[i] != GROUP[j] for i, j in found.items())
    # drawn from all that suit, not always the same one
    assert len(set(found.values())) > 15


def test_the_choice_follows_from_ids_seed_and_purpose():
    found = partners_by_id(IDS)
    assert partners_by_id(IDS[::-1]) == found
    assert partners_by_id(IDS, seed=1) != found
    assert partners_by_id(IDS, purpose='duet') != found


def test_the_first_suiting_candidate_of_the_clip_s_own_draw():
    found = partners_by_id(IDS)
    for sample_id in IDS[:5]:
        drawn = np.array(sorted(IDS))[rng_of(sample_id, 'swap', 0).permutation(40)]
        expected = next(i for i in drawn if GROUP[i] != GROUP[sample_id])
        assert found[sample_id] == expected


def test_a_clip_that_nothing_suits_is_named():
    with pytest.raises(DataError, match=r"'b' \(duet\).*more classes"):
        choose_partners(['a', 'b'], lambda i, j: i == 0, 'duet', 0)
    with pytest.raises(DataError, match="'a'"):
        choose_partners(['a'], lambda i, j: True, 'swap', 0)


def test_classes_shown_and_heard():
    objects = [
        dict(category='drum', sounding=False),
        dict(category='horn', sounding=True),
    ]
    info = dict(sample_id='x', category='bell', objects=objects)
    assert clip_classes(info) == ({'bell', 'drum', 'horn'}, {'bell', 'horn'})
    assert clip_classes(dict(sample_id='x', category='bell')) == ({'bell'}, {'bell'})
    with pytest.raises(DataError, match="'x' has no category"):
        clip_classes(dict(sample_id='x', category=None))
