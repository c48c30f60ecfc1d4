"""Work shared by processes: gathering, a pass over a data set; mapping in threads."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import torch
from mmengine.dataset import DefaultSampler
from mmengine.dist import all_gather, get_dist_info, get_rank, get_world_size
from mmengine.model import is_model_wrapper
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from .errors import DataError


def unwrap(model: nn.Module) -> nn.Module:
    """Returns the model itself of one that may be wrapped for distributed training."""
    return model.module if is_model_wrapper(model) else model


def count_rows(tensor: Tensor) -> list[int]:
    """Counts the rows B of a (B, ...) tensor on every rank."""
    if get_world_size() == 1:
        return [len(tensor)]
    count = torch.tensor([len(tensor)], device=tensor.device)
    return torch.cat(all_gather(count)).tolist()


def own_rows(counts: list[int]) -> slice:
    """Locates this rank's rows in the result of :func:`gather_rows`."""
    first = sum(counts[: get_rank()])
    return slice(first, first + counts[get_rank()])


def gather_rows(tensor: Tensor, counts: list[int] | None = None) -> Tensor:
    """Concatenates the rows of all ranks; every rank calls it.

    (B, ...) tensors, of which only B may differ between ranks, and may be 0, give
    (sum of all B, ...), the same on every rank. By default :func:`count_rows` counts.
    """
    if get_world_size() == 1:
        return tensor
    counts = count_rows(tensor) if counts is None else counts
    padded = tensor.new_zeros(max(counts), *tensor.shape[1:])
    padded[: len(tensor)] = tensor
    parts = all_gather(padded)
    return torch.cat([part[:n] for part, n in zip(parts, counts, strict=True)])


def first_rows(ids: Sequence[str]) -> list[int]:
    """Finds this rank's rows whose id no earlier row of the global batch has."""
    digests = (hashlib.sha256(one.encode()).digest()[:8] for one in ids)
    own = torch.tensor([int.from_bytes(x, 'big', signed=True) for x in digests]).long()
    counts = count_rows(own)
    everyone = gather_rows(own, counts).tolist()
    first: dict[int, int] = {}
    for row, one in enumerate(everyone):
        first.setdefault(one, row)
    own_first = own_rows(counts)
    rows = range(len(everyone))[own_first]
    return [row - rows.start for row in first.values() if row in rows]


def own_share(of_ranks: Tensor) -> Tensor:
    """Selects this rank's part of a sum that was saved in (W, ...) parts of W ranks.

    If the number of ranks differs now, the first rank gets the whole sum, the others 0.
    """
    rank, world_size = get_dist_info()
    if len(of_ranks) == world_size:
        return of_ranks[rank].clone()
    total = of_ranks.sum(dim=0)
    return total if rank == 0 else torch.zeros_like(total)


def ordered_pass(like: DataLoader, dataset: Dataset) -> Iterator[tuple[dict, int]]:
    """Iterates over a data set once, in order, with every clip on one rank.

    Batches are made as those of the loader ``like``. Every rank has as many, so that
    ranks can communicate: at the end the first clips are repeated. Beside each batch
    comes the number of its leading clips that are no repetitions.
    """
    loader = DataLoader(
        dataset,
        batch_size=like.batch_size,
        sampler=DefaultSampler(dataset, shuffle=False),
        num_workers=like.num_workers,
        collate_fn=like.collate_fn,
        worker_init_fn=like.worker_init_fn,
    )
    rank, world_size = get_dist_info()
    # DefaultSampler deals the ranks in turn
    left = len(range(rank, len(dataset), world_size))
    for batch in loader:
        count = min(left, len(batch['data_samples']))
        left -= count
        yield batch, count


Job = TypeVar('Job')
Result = TypeVar('Result')


def map_in_threads(
    function: Callable[[Job], Result], jobs: Iterable[Job], workers: int
) -> Iterator[Result]:
    """Maps in threads, in order, with few results in memory.

    Errors of the function are raised here. One worker is the calling thread.
    """
    if workers <= 1:
        yield from map(function, jobs)
        return
    with ThreadPoolExecutor(workers) as pool:
        rest = iter(jobs)
        while chunk := list(islice(rest, 16 * workers)):
            yield from pool.map(function, chunk)


def try_in_threads(
    function: Callable[[Job], Result], jobs: Iterable[Job], workers: int
) -> Iterator[Result | DataError]:
    """Maps like :func:`map_in_threads`; a DataError is the result of its job."""

    def attempt(job: Job) -> Result | DataError:
        try:
            return function(job)
        except DataError as error:
            return error

    return map_in_threads(attempt, jobs, workers)
