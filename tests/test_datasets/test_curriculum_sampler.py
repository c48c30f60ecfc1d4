from unittest import mock

import pytest
import torch
from torch.utils.data import ConcatDataset

from mmxpl.datasets.samplers import CurriculumSampler

NUM_LABELED, NUM_UNLABELED = 7, 40
CURRICULUM = dict(start=0.25, end=1.0)
SCHEDULE = (2, 5)  # epochs between which the share grows


def make(rank=0, world_size=1, curriculum=None, schedule=SCHEDULE, **kwargs):
    dataset = ConcatDataset([range(NUM_LABELED), range(NUM_UNLABELED)])
    kwargs = dict(dict(labeled_per_batch=2, unlabeled_per_batch=4, seed=3), **kwargs)
    path = 'mmxpl.datasets.samplers.curriculum_sampler.get_dist_info'
    with mock.patch(path, return_value=(rank, world_size)):
        sampler = CurriculumSampler(dataset, curriculum=curriculum, **kwargs)
    sampler.set_schedule(*schedule)
    return sampler


def batches(sampler, epoch=0):
    sampler.set_epoch(epoch)
    return torch.tensor(list(sampler)).view(-1, sampler.batch_size)


def test_every_batch_has_its_share_of_both():
    sampler = make()
    got = batches(sampler)
    assert len(sampler) == got.numel() == 10 * 6
    assert (got[:, :2] < NUM_LABELED).all()
    assert (got[:, 2:] >= NUM_LABELED).all()


def test_an_epoch_goes_through_the_unlabeled_set_once():
    got = batches(make())[:, 2:].flatten() - NUM_LABELED
    assert got.sort().values.tolist() == list(range(NUM_UNLABELED))


def test_labeled_clips_are_used_evenly_across_epochs():
    sampler = make()
    stream = torch.cat([batches(sampler, e)[:, :2].flatten() for e in range(7)])
    # 7 epochs x 20 = 20 full passes over 7 clips
    assert torch.bincount(stream).tolist() == [20] * NUM_LABELED
    for one_pass in stream.view(20, 7):
        assert one_pass.sort().values.tolist() == list(range(NUM_LABELED))


def test_epochs_differ_and_repeat_exactly():
    sampler = make()
    assert not torch.equal(batches(sampler, 0), batches(sampler, 1))
    assert torch.equal(batches(sampler, 1), batches(make(), 1))
    assert not torch.equal(batches(sampler, 1), batches(make(seed=4), 1))


def test_curriculum_draws_from_the_most_reliable_share():
    sampler = make(curriculum=CURRICULUM)
    assert len(sampler.selected()) == NUM_UNLABELED  # nothing known yet
    scores = torch.rand(NUM_UNLABELED, generator=torch.Generator().manual_seed(0))
    sampler.set_reliability(scores)
    order = scores.argsort(descending=True).tolist()
    previous = set()
    for epoch, share in ((2, 10), (3, 20), (4, 30), (5, 40), (9, 40)):
        got = batches(sampler, epoch)
        assert got.shape == (10, 6)  # the epoch's length is constant
        drawn = set((got[:, 2:] - NUM_LABELED).flatten().tolist())
        assert drawn == set(order[:share])
        assert previous <= drawn
        previous = drawn


@pytest.mark.parametrize('levels', [1, 2, 5, 1000])
def test_of_equals_the_first_are_selected(levels):
    """As a stable sort selects them."""
    sampler = make(curriculum=dict(start=0.05), schedule=(0, 20))
    scores = torch.randint(levels, (NUM_UNLABELED,)) / levels
    sampler.set_reliability(scores)
    order = sorted(range(NUM_UNLABELED), key=lambda i: -scores[i])
    for epoch in range(21):
        sampler.set_epoch(epoch)
        got = sampler.selected()
        assert got.tolist() == sorted(order[: len(got)])
    assert len(got) == NUM_UNLABELED


@pytest.mark.parametrize('curriculum', [None, CURRICULUM])
def test_two_ranks_deal_what_one_deals(curriculum):
    one = make(curriculum=curriculum, labeled_per_batch=4, unlabeled_per_batch=8)
    two = [make(r, 2, curriculum=curriculum) for r in range(2)]
    scores = torch.rand(NUM_UNLABELED)
    for sampler in (one, *two):
        sampler.set_reliability(scores)
    for epoch in (0, 3):
        whole = batches(one, epoch)
        parts = [batches(sampler, epoch) for sampler in two]
        for t in range(len(whole)):
            dealt = torch.cat([p[t] for p in parts]).sort().values
            assert torch.equal(dealt, whole[t].sort().values)


def test_labeled_only():
    sampler = make(unlabeled_per_batch=0, num_batches=5)
    got = batches(sampler)
    assert got.shape == (5, 2)
    assert (got < NUM_LABELED).all()


def test_wrong_use_is_named():
    with pytest.raises(TypeError, match='exactly two'):
        CurriculumSampler(range(3), 1, 1)
    with pytest.raises(ValueError, match='for 40 unlabeled'):
        make().set_reliability(torch.rand(3))
    with pytest.raises(ValueError, match='start <= end'):
        make(curriculum=dict(start=0.9, end=0.5))
    with pytest.raises(ValueError, match="'begin'"):
        make(curriculum=dict(start=0.9, begin=2))
    with pytest.raises(ValueError, match='rho'):
        make(curriculum=dict(rho=0.9))


def test_an_epoch_is_taken_up_in_the_middle():
    sampler = make(curriculum=CURRICULUM)
    generator = torch.Generator().manual_seed(0)
    sampler.set_reliability(torch.rand(NUM_UNLABELED, generator=generator))
    whole, following = batches(sampler, 3), batches(sampler, 4)
    resumed = make(curriculum=CURRICULUM)
    resumed.load_state_dict(sampler.state_dict())
    resumed.skip_batches(7)
    assert resumed.skipped == 7
    assert torch.equal(batches(resumed, 3), whole[7:])
    # once only
    assert resumed.skipped == 0
    assert torch.equal(batches(resumed, 4), following)


@pytest.mark.parametrize('number', [-1, 11])
def test_no_more_than_an_epoch_is_skipped(number):
    with pytest.raises(ValueError, match='batches to skip in epochs of 10'):
        make().skip_batches(number)
