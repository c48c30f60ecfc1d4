"""Rows of all processes, and work in several threads."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import torch
from mmengine.dist import all_gather, get_rank, get_world_size
from mmengine.model import is_model_wrapper
from torch import Tensor, nn


def unwrap(model: nn.Module) -> nn.Module:
    """Takes off what makes a model distributed.

    Args:
        model (nn.Module): a runner's model.

    Returns:
        nn.Module: the model itself.
    """
    return model.module if is_model_wrapper(model) else model


def count_rows(tensor: Tensor) -> list[int]:
    """Rows of a tensor on every rank.

    Args:
        tensor (Tensor): (B, ...).

    Returns:
        list[int]: B of each rank.
    """
    if get_world_size() == 1:
        return [len(tensor)]
    count = torch.tensor([len(tensor)], device=tensor.device)
    return torch.cat(all_gather(count)).tolist()


def own_rows(counts: list[int]) -> slice:
    """Where this rank's rows stand among those of all ranks.

    Args:
        counts (list[int]): what :func:`count_rows` gave.

    Returns:
        slice: of the rows that :func:`gather_rows` gives.
    """
    first = sum(counts[: get_rank()])
    return slice(first, first + counts[get_rank()])


def gather_rows(tensor: Tensor, counts: list[int] | None = None) -> Tensor:
    """Concatenates a tensor over all ranks.

    Every rank must call it, those without a row too.

    Args:
        tensor (Tensor): (B, ...); B may differ between ranks and be 0, all else
            is equal.
        counts (list[int], optional): what :func:`count_rows` gave. Defaults to
            asking the ranks.

    Returns:
        Tensor: (sum of all B, ...), the same on every rank.
    """
    if get_world_size() == 1:
        return tensor
    counts = count_rows(tensor) if counts is None else counts
    padded = tensor.new_zeros(max(counts), *tensor.shape[1:])
    padded[: len(tensor)] = tensor
    parts = all_gather(padded)
    return torch.cat([part[:n] for part, n in zip(parts, counts, strict=True)])


Job = TypeVar('Job')
Result = TypeVar('Result')


def map_in_threads(
    function: Callable[[Job], Result], jobs: Iterable[Job], workers: int
) -> Iterator[Result]:
    """Maps in threads, in order; only a few results wait at a time.

    Args:
        function (Callable): takes a job; what it raises is raised here.
        jobs (Iterable): what to do.
        workers (int): threads; with 1 all is done in the caller's.

    Yields:
        Result: What the function returned, in the order of the jobs.
    """
    if workers <= 1:
        yield from map(function, jobs)
        return
    with ThreadPoolExecutor(workers) as pool:
        rest = iter(jobs)
        while chunk := list(islice(rest, 16 * workers)):
            yield from pool.map(function, chunk)
