import threading

import pytest
import torch
from mmengine.dataset import pseudo_collate, sampler
from torch.utils.data import DataLoader

from mmxpl.utils import parallel


@pytest.fixture
def ranks(monkeypatch):
    """A function that makes this process one of several, alone in what it gathers."""

    def become(rank, world_size):
        for module in (parallel, sampler):
            monkeypatch.setattr(module, 'get_dist_info', lambda: (rank, world_size))
        monkeypatch.setattr(parallel, 'get_rank', lambda: rank)
        monkeypatch.setattr(parallel, 'get_world_size', lambda: world_size)

    return become


@pytest.mark.parametrize('num_clips', [1, 4, 5])
@pytest.mark.parametrize('world_size', [1, 2, 3])
def test_ordered_pass_gives_every_clip_to_one_rank(ranks, num_clips, world_size):
    clips = [{'data_samples': n} for n in range(num_clips)]
    like = DataLoader(clips, batch_size=2, collate_fn=pseudo_collate, shuffle=True)
    seen, lengths = [], set()
    for rank in range(world_size):
        ranks(rank, world_size)
        batches = list(parallel.ordered_pass(like, clips))
        lengths.add(len(batches))
        own = [n for batch, count in batches for n in batch['data_samples'][:count]]
        assert own == sorted(own)
        seen += own
    assert sorted(seen) == list(range(num_clips))
    assert len(lengths) == 1  # else one rank would wait for another


def test_rows_of_all_ranks_are_gathered_without_the_padding(ranks, monkeypatch):
    ranks(1, 3)
    parts = [torch.ones(2, 1), torch.full((1, 1), 2.0), torch.ones(0, 1)]

    def all_gather(tensor):
        if tensor.dtype == torch.long:
            return [torch.tensor([len(part)]) for part in parts]
        assert tensor.shape == (2, 1)  # padded to the longest
        return [torch.cat([p, p.new_full((2 - len(p), 1), 9)]) for p in parts]

    monkeypatch.setattr(parallel, 'all_gather', all_gather)
    counts = parallel.count_rows(parts[1])
    assert counts == [2, 1, 0]
    rows = parallel.gather_rows(parts[1])
    assert rows.flatten().tolist() == [1, 1, 2]
    assert torch.equal(rows[parallel.own_rows(counts)], parts[1])


def test_a_clip_counts_where_it_occurs_first(ranks, monkeypatch):
    assert parallel.first_rows(list('abacb')) == [0, 1, 3]
    batches = ['aab', 'cb', 'dcd']
    codes = []  # of every rank's ids
    monkeypatch.setattr(parallel, 'count_rows', lambda own: list(map(len, batches)))
    monkeypatch.setattr(
        parallel, 'gather_rows', lambda own, counts: codes.append(own) or own
    )
    for batch in batches:
        parallel.first_rows(batch)
    monkeypatch.setattr(parallel, 'gather_rows', lambda own, counts: torch.cat(codes))
    found = []
    for rank, batch in enumerate(batches):
        ranks(rank, len(batches))
        found.append(parallel.first_rows(batch))
    assert found == [[0, 2], [0], [0]]


def test_a_sum_goes_to_as_many_ranks_as_before_or_to_the_first(ranks):
    of_ranks = torch.tensor([[1.0], [2.0]])
    for rank, expected in ((0, 1), (1, 2)):
        ranks(rank, 2)
        assert parallel.own_share(of_ranks).item() == expected
    for rank, expected in ((0, 3), (1, 0), (2, 0)):
        ranks(rank, 3)
        assert parallel.own_share(of_ranks).item() == expected


@pytest.mark.parametrize('workers', [1, 3])
def test_threads_keep_the_order_and_raise_errors(workers):
    used = set()

    def square(n):
        used.add(threading.current_thread())
        if n == 90:
            raise ValueError('ninety')
        return n * n

    results = parallel.map_in_threads(square, range(90), workers)
    assert list(results) == [n * n for n in range(90)]
    assert (used == {threading.current_thread()}) == (workers == 1)
    with pytest.raises(ValueError, match='ninety'):
        list(parallel.map_in_threads(square, range(91), workers))
