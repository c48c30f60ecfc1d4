import pytest
import torch

from mmxpl.pseudo_labels import PseudoLabelBank
from mmxpl.structures import compose_affine, invert_affine, visible_cells, warp
from mmxpl.utils import DataError

IDS = [f'clip{i}' for i in range(6)]


def update(bank, index, *args):
    """Updates the bank and returns the labels of these clips."""
    bank.update(index, *args)
    return bank.lookup(index)


def make_bank(momentum=0.75, ids=IDS):
    return PseudoLabelBank(ids, ['a', 'b'], momentum)


def test_labels_equal_a_hand_computed_average():
    bank, expected = make_bank(), {}
    generator = torch.Generator().manual_seed(0)
    for _ in range(8):
        index = torch.randperm(6, generator=generator)[:3]
        soft = torch.rand(3, 2, 4, 4, generator=generator)
        out = update(bank, index, soft)
        for row, i in enumerate(index.tolist()):
            old = expected.get(i)
            new = soft[row] if old is None else 0.75 * old + 0.25 * soft[row]
            expected[i] = new.half().float()
            torch.testing.assert_close(out[row], expected[i], atol=1e-3, rtol=0)
    for i, label in expected.items():
        torch.testing.assert_close(
            bank.lookup(torch.tensor([i]))[0], label, atol=1e-3, rtol=0
        )
    assert bank.visits.sum() == 24


def test_no_momentum_keeps_the_newest():
    bank = make_bank(momentum=0.0)
    bank.update(torch.tensor([2]), torch.rand(1, 2, 4, 4))
    newest = torch.rand(1, 2, 4, 4)
    torch.testing.assert_close(
        update(bank, torch.tensor([2]), newest), newest, atol=1e-3, rtol=0
    )


def test_a_clip_that_stands_twice_counts_once():
    bank = make_bank()
    soft = torch.rand(3, 2, 4, 4)
    out = update(bank, torch.tensor([4, 1, 4]), soft)
    assert bank.visits.tolist() == [0, 1, 0, 0, 1, 0]
    torch.testing.assert_close(out[0], soft[0], atol=1e-3, rtol=0)
    assert torch.equal(out[0], out[2])


def test_hidden_cells_keep_their_label():
    bank = make_bank(momentum=0.5)
    old = update(bank, torch.tensor([0]), torch.full((1, 2, 2, 2), 1.0))
    valid = torch.tensor([[[True, False], [False, True]]])
    new = update(bank, torch.tensor([0]), torch.zeros(1, 2, 2, 2), valid)
    assert torch.equal(new[0, :, ~valid[0]], old[0, :, ~valid[0]])
    assert (new[0, :, valid[0]] == 0.5).all()


def test_augmented_visits_blend_to_the_label_of_plain_ones():
    # a smooth map seen through crops and flips, led back, is the same label
    y, x = torch.meshgrid(torch.linspace(-1, 1, 14), torch.linspace(-1, 1, 14))
    maps = torch.stack(
        [torch.exp(-4 * ((x - c) ** 2 + (y + c) ** 2)) for c in (-0.4, 0.3)]
    )
    plain, augmented, misaligned = make_bank(0.5), make_bank(0.5), make_bank(0.5)
    generator = torch.Generator().manual_seed(1)
    index = torch.tensor([3])
    for visit in range(12):
        truth = (maps * (0.6 + 0.4 * (visit % 3) / 2)).unsqueeze(0)
        scale = 0.8 + 0.2 * torch.rand(1, 2, generator=generator)
        center = (1 - scale) * (2 * torch.rand(1, 2, generator=generator) - 1)
        theta = compose_affine(center, scale, torch.tensor([visit % 2 == 0]))
        view, back = warp(truth, theta), invert_affine(theta)
        plain.update(index, truth)
        augmented.update(index, warp(view, back), visible_cells(back, (14, 14)))
        misaligned.update(index, view)
    expected = plain.lookup(index)
    seen = augmented.lookup(index)
    inner = (slice(None), slice(None), slice(2, 12), slice(2, 12))
    assert (seen - expected)[inner].abs().max() < 0.05
    assert (misaligned.lookup(index) - expected)[inner].abs().max() > 0.2


def test_change_and_reliability():
    bank = make_bank(momentum=0.5)
    assert bank.reliability().tolist() == [0] * 6
    bank.update(torch.arange(6), torch.ones(6, 2, 4, 4))
    bank.update(torch.tensor([1]), torch.zeros(1, 2, 4, 4))
    assert bank.change[1].item() == 0.5
    assert bank.is_complete
    assert bank.reliability().tolist() == [1] * 6
    bank.measures = ['stability']
    bank.score_again(chunk=4)
    assert bank.reliability()[1].item() == 0.5


def test_state_survives_the_safe_loader(tmp_path):
    bank = make_bank()
    bank.update(torch.tensor([0, 5]), torch.rand(2, 2, 4, 4))
    torch.save(bank.state_dict(), tmp_path / 'bank.pth')
    other = make_bank()
    other.load_state_dict(torch.load(tmp_path / 'bank.pth', weights_only=True))
    soft = torch.rand(2, 2, 4, 4)
    assert torch.equal(
        update(bank, torch.tensor([5, 1]), soft),
        update(other, torch.tensor([5, 1]), soft),
    )
    assert torch.equal(bank.change, other.change)


@pytest.mark.parametrize(
    ('ids', 'message'),
    [(IDS[:4], 'of 6 clips'), (IDS[::-1], 'another unlabeled list')],
)
def test_state_of_another_list_is_refused(ids, message):
    bank = make_bank()
    bank.update(torch.tensor([0]), torch.rand(1, 2, 4, 4))
    with pytest.raises(ValueError, match=message):
        make_bank(ids=ids).load_state_dict(bank.state_dict())


def test_momentum_out_of_range():
    with pytest.raises(ValueError, match='momentum'):
        make_bank(momentum=1.0)


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_labels_that_are_no_numbers_are_refused_with_the_ids(value):
    bank = make_bank()
    bank.update(torch.arange(6), torch.rand(6, 2, 4, 4))
    before = bank.labels.clone()
    soft = torch.rand(3, 2, 4, 4)
    soft[1, 0, 2, 2] = value
    with pytest.raises(DataError, match='1 clips .*: clip4'):
        bank.update(torch.tensor([0, 4, 2]), soft)
    assert torch.equal(bank.labels, before)
    assert bank.visits.tolist() == [1] * 6


@pytest.mark.parametrize('key', ['labels', 'change', 'scores'])
def test_a_state_that_holds_no_numbers_is_refused_with_the_ids(key):
    bank = make_bank()
    bank.update(torch.arange(6), torch.rand(6, 2, 4, 4))
    state = bank.state_dict()
    state[key].view(6, -1)[3, 0] = float('nan')
    with pytest.raises(DataError, match='1 clips .*: clip3'):
        make_bank().load_state_dict(state)
