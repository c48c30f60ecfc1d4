import pytest
import torch

from mmxpl.evaluation.functional import (
    RULES,
    format_counts,
    format_rules,
    format_table,
    summarise_row,
)


def test_summary_is_in_per_cent():
    cious = torch.tensor([[0.5, 0.1], [0.2, 0.1], [0.9, 0.5], [0.0, 0.0]])
    scores = summarise_row(cious, ('median', 'fixed'))
    assert list(scores) == [
        'CIoU@0.5_median',
        'CIoU@0.5_fixed',
        'AUC_median',
        'AUC_fixed',
    ]
    assert scores['CIoU@0.5_median'] == 50
    assert scores['CIoU@0.5_fixed'] == 25
    assert all(isinstance(score, float) for score in scores.values())


def test_table_marks_what_the_disc_beats():
    rules = tuple(RULES)
    cious = {
        'a': torch.tensor([[0.9, 0.9, 0.1, 0.5]]),
        'ref/disc': torch.full((1, 4), 0.5),
        'ref/whole': torch.full((1, 4), 0.1),
    }
    table = format_table({row: summarise_row(x, rules) for row, x in cious.items()})
    lines = table.splitlines()
    a = next(line for line in lines if line.startswith('a '))
    assert a.count('*') == 2  # CIoU and AUC under `adaptive`
    assert '0.00*' in a
    names = [line.split('  ')[0] for line in lines]
    # references stand beneath the models and are never marked
    assert names.index('a') < names.index('centred disc') < names.index('whole image')
    assert not any('*' in line for line in lines if line.startswith(('cent', 'whole')))


@pytest.mark.parametrize(('expected', 'note'), [(10, ''), (12, '(2 MISSING)')])
def test_card_names_the_protocol(expected, note):
    card = format_counts(10, expected, '0123abcd')
    assert f'10 evaluated of {expected} expected' in card
    assert ('MISSING' in card) == bool(note)
    assert note in card
    assert '0123abcd' in card
    card = format_rules(224)
    assert 'median_strict: > upper median' in card
    assert '224x224, bilinear, align_corners=True' in card


def test_card_names_the_list_where_it_is_known():
    card = format_counts(10, 10, '0123abcd', list_name='VGG-SS, 10 clips')
    assert '0123abcd (VGG-SS, 10 clips)' in card
