"""Divides ids into a labeled and an unlabeled part."""

import hashlib
from collections.abc import Mapping, Sequence

SUBSETS = ('all', 'labeled', 'unlabeled')


def select_subset(
    ids: Sequence[str], subset: str, fraction: float | None = None, seed: int = 0
) -> list[str]:
    """Selects the labeled or the unlabeled part of a set of ids.

    The part an id falls into depends on nothing but the set of ids, fraction
    and seed: neither on their order, nor on the machine. Ids are ranked by a
    hash of seed and id, and the first ``round(fraction * N)`` are labeled; at
    least one is, and below a fraction of 1 at least one is not. The labeled
    part of a smaller fraction lies within that of a larger one.

    Args:
        ids (Sequence[str]): N different ids.
        subset (str): 'all', 'labeled' or 'unlabeled'.
        fraction (float, optional): share of labeled ids in (0, 1]; needed
            unless ``subset`` is 'all'.
        seed (int): chooses among the possible splits. Defaults to 0.

    Returns:
        list[str]: The part's ids in the order of ``ids``.

    Raises:
        ValueError: If ``subset`` is unknown or ``fraction`` out of range.
    """
    check_subset(subset, fraction)
    if subset == 'all':
        return list(ids)
    count = max(round(fraction * len(ids)), 1)
    if fraction < 1:
        count = min(count, max(len(ids) - 1, 1))
    chosen = set(sorted(ids, key=lambda i: _rank(seed, i))[:count])
    return [i for i in ids if (i in chosen) == (subset == 'labeled')]


def choose_stratified(
    ids: Sequence[str], classes: Mapping[str, str], count: int, seed: int = 0
) -> list[str]:
    """Chooses ids so that every class has its share of them.

    Systematic sampling: the ids are laid out class after class, classes and ids
    within each in the order of a hash of the seed and the name, and those at
    even distances are taken. Of a class with n of N ids come ``n * count / N``,
    rounded up or down. Order of the ids and machine do not matter.

    Args:
        ids (Sequence[str]): N different ids.
        classes (Mapping[str, str]): class by id; ids without one are of the
            class ''.
        count (int): how many to choose, from 0 to N.
        seed (int): chooses among the possible choices. Defaults to 0.

    Returns:
        list[str]: The chosen ids in the order of ``ids``.

    Raises:
        ValueError: If ``count`` is out of range.
    """
    total = len(ids)
    if not 0 <= count <= total:
        raise ValueError(f'count must be in [0, {total}], got {count}.')
    laid_out = sorted(
        ids,
        key=lambda i: (_rank(seed, f'class {classes.get(i, "")}'), _rank(seed, i)),
    )
    chosen = {
        i
        for n, i in enumerate(laid_out)
        if (n + 1) * count // total > n * count // total
    }
    return [i for i in ids if i in chosen]


def _rank(seed: int, name: str) -> tuple[bytes, str]:
    """Sorts names at random, yet alike on every machine."""
    return hashlib.sha256(f'{seed}:{name}'.encode()).digest(), name


def check_subset(subset: str, fraction: float | None) -> None:
    """Validates the arguments of :func:`select_subset`.

    Args:
        subset (str): 'all', 'labeled' or 'unlabeled'.
        fraction (float, optional): share of labeled ids.

    Raises:
        ValueError: If ``subset`` is unknown, or ``fraction`` is not in (0, 1]
            where it is needed.
    """
    if subset not in SUBSETS:
        raise ValueError(f"subset must be one of {SUBSETS}, got '{subset}'.")
    if subset == 'all':
        return
    numeric = isinstance(fraction, int | float) and not isinstance(fraction, bool)
    if not numeric or not 0 < fraction <= 1:
        raise ValueError(
            f"subset='{subset}' needs a fraction in (0, 1], the share of labeled "
            f'clips, got {fraction!r}.'
        )
