"""Tables of a comparison against numbers worked out by hand."""

import statistics

import pytest

from mmxpl.comparison import Cell
from mmxpl.comparison.tables import (
    SCORES,
    mean_and_std,
    paired_differences,
    score_table,
)
from mmxpl.comparison.tables import rows_of as comparison_rows

TITLES = {'xpl': 'XPL', 'supcon': 'supervised + contrastive'}


def row(method, seed, model, value, labeled=0.05):
    scores = dict.fromkeys(SCORES, value)
    return dict(method=method, seed=seed, labeled=labeled, model=model, **scores)


def rows_of(method, values):
    """Rows whose A has the value, B two more and the ensemble five more."""
    return [
        row(method, seed, model, value + extra)
        for seed, value in enumerate(values)
        for model, extra in (('a', 0), ('b', 2), ('ens', 5))
    ]


ROWS = rows_of('xpl', [60.0, 62.0, 67.0]) + rows_of('supcon', [59.0, 63.0, 61.0])


def cells(table, *starts):
    """First number of the line that starts with these cells."""
    for line in table.splitlines():
        found = [cell.strip() for cell in line.strip('|').split('|')]
        if tuple(found[: len(starts)]) == starts:
            return found[len(starts) :]
    raise AssertionError(f'no line {starts} in\n{table}')


def test_mean_and_std_is_of_the_sample():
    values = [60.0, 62.0, 67.0]
    assert mean_and_std(values) == '63.0 ± 3.6'
    assert f'{statistics.stdev(values):.1f}' == '3.6'
    assert mean_and_std([61.25]) == '61.2'


def test_score_table_averages_a_and_b_and_lists_references():
    whole = {'whole image': dict.fromkeys(SCORES, 40.0)}
    table = score_table(ROWS, TITLES, whole, 0.05)
    # A 60, 62, 67 and B two above: single nets 61, 63, 68
    assert cells(table, 'XPL', 'mean of single nets')[0] == '64.0 ± 3.6'
    assert cells(table, 'XPL', 'ensemble')[0] == '68.0 ± 3.6'
    assert cells(table, 'reference', 'whole image')[0] == '40.0'


@pytest.mark.parametrize('names', ['a', 'abc'])
def test_one_and_three_localizers_have_rows(names):
    cell = Cell('xpl', 0.05, 0)
    scores = {f'{row}/threshold': 0.5 for row in (*names, 'ens')}
    for key in SCORES:
        values = zip((*names, 'ens', 'ref/disc'), (60, 63, 66, 70, 5), strict=False)
        scores |= {f'{row}/{key}': value for row, value in values}
    scores['ens/size=small/CIoU@0.5_adaptive'] = 1.0
    scores |= {f'ens/{key}': 70.0 for key in SCORES}
    rows = comparison_rows(cell, 'test', scores, 1.0)
    assert [one['model'] for one in rows] == [*names, 'ens']
    table = score_table(rows, TITLES, {}, 0.05)
    mean = '63.0' if names == 'abc' else '60.0'
    assert cells(table, 'XPL', 'mean of single nets')[0] == mean
    assert cells(table, 'XPL', 'ensemble')[0] == '70.0'


def test_paired_differences_pair_seeds():
    table = paired_differences(ROWS, 'xpl', TITLES, 0.05)
    # leads of +1, -1 and +6
    assert cells(table, TITLES['supcon'], 'ensemble')[0] == '+2.0 ± 3.6 (2/3)'


def test_a_seed_that_only_one_method_has_is_not_paired():
    rows = [r for r in ROWS if (r['method'], r['seed']) != ('supcon', 2)]
    table = paired_differences(rows, 'xpl', TITLES, 0.05)
    assert cells(table, TITLES['supcon'], 'ensemble')[0] == '+0.0 ± 1.4 (1/2)'


def test_an_equal_score_is_no_lead():
    rows = rows_of('xpl', [60.0, 61.0]) + rows_of('supcon', [60.0, 60.0])
    table = paired_differences(rows, 'xpl', TITLES, 0.05)
    assert cells(table, TITLES['supcon'], 'ensemble')[0] == '+0.5 ± 0.7 (1/2)'


@pytest.mark.parametrize('labeled', [0.1, None])
def test_another_fraction_does_not_leak_in(labeled):
    rows = ROWS + [row('xpl', 9, m, 1.0, labeled) for m in ('a', 'b', 'ens')]
    table = score_table(rows, TITLES, {}, 0.05)
    assert cells(table, 'XPL', 'ensemble')[0] == '68.0 ± 3.6'
