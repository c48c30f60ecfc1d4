"""Parts of a training."""

import pytest

from mmxpl.utils.schedule import count_warmup_epochs


@pytest.mark.parametrize(
    ('warmup', 'epochs', 'expected'),
    [
        (0, 4, 0),
        (9, 16, 9),
        (1, 1, 1),
        (0.55, 16, 9),
        (0.55, 12, 7),
        (0.55, 4, 2),
        (0.1, 20, 2),
        (0.1, 4, 1),  # a share is one epoch at least
    ],
)
def test_a_number_or_a_share(warmup, epochs, expected):
    assert count_warmup_epochs(warmup, epochs) == expected


@pytest.mark.parametrize('warmup', [-1, 1.5])
def test_others_are_named(warmup):
    with pytest.raises(ValueError, match=r'train_cfg\.warmup_epochs is a number'):
        count_warmup_epochs(warmup, 10)
