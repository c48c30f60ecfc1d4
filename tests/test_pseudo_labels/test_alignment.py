"""Area alignment against what it must keep and must not change."""

import functools

import pytest
import torch

from mmxpl.pseudo_labels import (
    AreaAlignment,
    harden,
    sharpen,
    shift_logits,
    solve_area_shift,
)

SOFT = functools.partial(sharpen, temperature=0.5)


def random_maps(batch=16, seed=0):
    return torch.rand(batch, 2, 7, 7, generator=torch.Generator().manual_seed(seed))


def observe(alignment, area):
    alignment.observe([area] * 3)
    alignment.end_epoch()


def test_shift_moves_the_odds():
    maps = random_maps()
    shifted = shift_logits(maps, torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(shifted[:, 0], maps[:, 0], atol=2e-6, rtol=0)
    odds = maps[:, 1] / (1 - maps[:, 1]) / torch.e
    torch.testing.assert_close(shifted[:, 1], odds / (1 + odds), atol=2e-6, rtol=0)


@pytest.mark.parametrize('area', [0.02, 0.3, 0.9])
@pytest.mark.parametrize('soften', [SOFT, harden])
def test_labels_get_the_wanted_area(area, soften):
    maps = random_maps() ** torch.tensor([0.3, 3.0]).view(1, 2, 1, 1)
    labels = soften(shift_logits(maps, solve_area_shift(maps, area, soften)))
    # hard labels change by whole cells
    torch.testing.assert_close(
        labels.mean(dim=(0, 2, 3)), torch.full((2,), area), atol=2e-3, rtol=0
    )


def test_cells_that_were_not_seen_do_not_count():
    maps = random_maps()
    valid = torch.rand(16, 7, 7, generator=torch.Generator().manual_seed(1)) < 0.5
    changed = torch.where(valid.unsqueeze(1), maps, 0.999)
    one, other = (solve_area_shift(m, 0.3, SOFT, valid) for m in (maps, changed))
    assert torch.equal(one, other)


def test_average_of_the_shifts_by_hand():
    alignment = AreaAlignment(2, momentum=0.5)
    observe(alignment, 0.2)
    observe(alignment, 0.4)
    assert alignment.area == pytest.approx(0.3)
    expected = torch.zeros(2)
    for visit, weight in enumerate((1, 0.5, 0.5)):
        maps = random_maps(seed=visit) ** (visit + 1)
        wanted = solve_area_shift(maps, alignment.area, SOFT)
        expected = (1 - weight) * expected + weight * wanted
        labels = alignment(maps, SOFT)
        torch.testing.assert_close(alignment.shift, expected)
        torch.testing.assert_close(labels, SOFT(shift_logits(maps, expected)))


def test_order_of_cells_stays():
    alignment = AreaAlignment(2)
    observe(alignment, 0.1)
    maps = random_maps(batch=1)
    labels = alignment(maps, SOFT)
    assert torch.equal(
        labels.flatten(2).argsort(stable=True), maps.flatten(2).argsort(stable=True)
    )


def test_state_goes_on_where_it_was():
    one = AreaAlignment(2, momentum=0.9)
    observe(one, 0.3)
    one(random_maps(), SOFT)
    other = AreaAlignment(2, momentum=0.9)
    other.load_state_dict(one.state_dict())
    labels = [a(random_maps(seed=5), SOFT) for a in (one, other)]
    assert torch.equal(*labels)
    assert other.area == one.area


def test_a_map_that_is_no_number_does_not_move_the_others():
    alignment = AreaAlignment(2)
    observe(alignment, 0.3)
    maps = torch.rand(4, 2, 5, 5)
    maps[2, 1, 0, 0] = float('nan')
    with pytest.raises(ValueError, match=r'maps \[2\] of the batch are NaN'):
        alignment(maps, lambda p: p)
    assert alignment.shift.tolist() == [0, 0]
    assert alignment.updates == 0
