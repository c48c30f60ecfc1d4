"""Work in several threads, for libraries that let go of the interpreter's lock."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

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
