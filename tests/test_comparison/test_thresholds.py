"""Thresholds are chosen on one split and reported on another."""

import pytest

from mmxpl.comparison import choose_threshold, with_chosen
from mmxpl.evaluation.functional import SWEEP


def scores(auc, ciou):
    """Scores of one row, both given as functions of the threshold."""
    return {
        f'ens/{name}_{rule}': function(float(rule.removeprefix('fixed_')))
        for name, function in (('AUC', auc), ('CIoU@0.5', ciou))
        for rule in SWEEP
    }


VAL = scores(lambda t: 50 - 100 * abs(t - 0.3), lambda t: 10 * t)


def test_the_best_auc_of_the_validation_split_chooses():
    assert choose_threshold(VAL, 'ens') == 'fixed_0.30'


def test_of_equals_the_lowest_threshold_is_taken():
    flat = scores(lambda t: 40.0, lambda t: 0.0)
    assert choose_threshold(flat, 'ens') == 'fixed_0.05'


def test_the_other_split_is_scored_there_even_where_it_would_choose_otherwise():
    test = scores(lambda t: 90 - 100 * abs(t - 0.7), lambda t: 100 * t)
    found = with_chosen(test, VAL, ['ens'])
    assert found['ens/threshold'] == pytest.approx(0.3)
    assert found['ens/AUC_chosen'] == pytest.approx(50)
    assert found['ens/CIoU@0.5_chosen'] == pytest.approx(30)
    assert {key: found[key] for key in test} == test
