import pytest

from mmxpl.datasets.missing import handle_missing
from mmxpl.utils import DataError

LACKING = {'no frame': ['a', 'b'], 'no sound': ['b', 'c'], 'no box': []}


def test_refused_with_counts_reasons_and_remedy():
    with pytest.raises(DataError) as caught:
        handle_missing(LACKING, 'error', 9, 'list.txt')
    text = str(caught.value)
    # a clip that lacks both counts once
    assert text.startswith('3 of 9 ids of list.txt cannot be used')
    assert '2 have no frame (a, b)' in text
    assert '2 have no sound (b, c)' in text
    assert 'no box' not in text
    assert "missing='skip'" in text


def test_left_out_and_every_one_named(logged):
    many = [f'clip{i}' for i in range(50)]
    handle_missing({'no frame': many}, 'skip', 99, 'list.txt')
    text = logged()
    assert '50 of 99 ids of list.txt are left out' in text
    assert all(name in text for name in many)


@pytest.mark.parametrize('policy', ['error', 'skip'])
def test_nothing_missing_nothing_said(policy, logged):
    handle_missing({'no frame': []}, policy, 9, 'list.txt')
    assert logged() == ''
