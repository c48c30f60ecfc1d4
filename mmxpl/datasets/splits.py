"""Division into labeled and unlabeled clips, and checks that parts share no clip."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from mmengine.dataset import BaseDataset
from torch.utils.data import DataLoader

from mmxpl.registry import DATASETS
from mmxpl.utils import DataError
from mmxpl.utils.ids import name_some

from .dataset_wrappers import config_leaves

SUBSETS = ('all', 'labeled', 'unlabeled')
SPLITS = ('train', 'val', 'test')


def select_subset(
    ids: Sequence[str], subset: str, fraction: float | None = None, seed: int = 0
) -> list[str]:
    """Selects the labeled or the unlabeled part of a set of ids.

    The part of an id depends only on the set of ids, the fraction and the seed, not on
    their order or on the machine. Ids are ranked by a hash of seed and id, and the
    first ``round(fraction * N)`` are labeled; at least one is, and below a fraction of
    1 at least one is not. The labeled part of a smaller fraction lies within that of a
    larger one.

    Args:
        ids (Sequence[str]): N different ids.
        subset (str): 'all', 'labeled' or 'unlabeled'.
        fraction (float, optional): Share of labeled ids in (0, 1]; needed unless
            ``subset`` is 'all'.
        seed (int): Chooses among the possible splits.

    Returns:
        list[str]: Ids of the part in the order of ``ids``.

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


def check_subset(subset: str, fraction: float | None) -> None:
    """Validates the arguments of :func:`select_subset`.

    Args:
        subset (str): 'all', 'labeled' or 'unlabeled'.
        fraction (float, optional): Share of labeled ids.

    Raises:
        ValueError: If ``subset`` is unknown, or ``fraction`` is not in (0, 1] where it
            is needed.
    """
    if subset not in SUBSETS:
        raise ValueError(f"subset must be one of {SUBSETS}, got '{subset}'.")
    if subset == 'all':
        return
    numeric = isinstance(fraction, int | float) and not isinstance(fraction, bool)
    if not numeric or not 0 < fraction <= 1:
        raise ValueError(
            f"subset='{subset}' needs a fraction (labeled_fraction of a "
            'SplitDataset) in (0, 1], the share of labeled clips, got '
            f'{fraction!r}.'
        )


def choose_stratified(
    ids: Sequence[str], classes: Mapping[str, str], count: int, seed: int = 0
) -> list[str]:
    """Chooses ids so that every class has its share of them.

    Systematic sampling: the ids are laid out class after class, classes and ids within
    each in the order of a hash of seed and name, and those at even distances are taken.
    Of a class with n of N ids, ``n * count / N`` are chosen, rounded up or down. The
    order of the ids and the machine do not matter.

    Args:
        ids (Sequence[str]): N different ids.
        classes (Mapping[str, str]): Class by id; ids without one form the class ''.
        count (int): Number of ids to choose, from 0 to N.
        seed (int): Chooses among the possible choices.

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
    """Sort key: random, but the same on every machine."""
    return hashlib.sha256(f'{seed}:{name}'.encode()).digest(), name


def check_disjoint(named_ids: Mapping[str, Sequence[str]]) -> None:
    """Refuses parts of the data that share clips.

    Scores would be too good if labeled clips were also unlabeled, in a second labeled
    list or evaluated, if unlabeled clips were evaluated, or if validation clips were
    tested on.

    Args:
        named_ids (Mapping[str, Sequence[str]]): Ids of each part.

    Raises:
        DataError: If two parts share ids, with the parts, the number of ids and the
            first five.
    """
    sets = {name: set(ids) for name, ids in named_ids.items()}
    problems = []
    for (left, left_ids), (right, right_ids) in combinations(sets.items(), 2):
        shared = sorted(left_ids & right_ids)
        if shared:
            problems.append(
                f"'{left}' and '{right}' share {len(shared)} ids ({name_some(shared)})"
            )
    if problems:
        raise DataError(
            f'Clips occur in two parts of the data: {"; ".join(problems)}. Take them '
            'out of one of the lists, or choose subset, fraction and split_seed alike '
            'for the labeled and the unlabeled set.'
        )


def collect_ids(
    train: Any = None, val: Any = None, test: Any = None
) -> dict[str, list[str]]:
    """Collects the ids of every part of the data.

    Args:
        train (Any): Data set or data loader of the training split, or the config of
            one; a ``ConcatDataset`` gives one part per data set. None for no such
            split.
        val (Any): The same of the validation split.
        test (Any): The same of the test split.

    Returns:
        dict[str, list[str]]: Ids by a name such as ``train labeled (FILE)``, as the
        data sets ask for them; media files are not looked for.

    Raises:
        DataError: If lists or annotations cannot be read.
    """
    parts: dict[str, list[str]] = {}
    seen: Counter[str] = Counter()
    for split, data in zip(SPLITS, (train, val, test), strict=True):
        for dataset in _leaves(data):
            name = _name(dataset, split)
            seen[name] += 1
            number = f' #{seen[name]}' if seen[name] > 1 else ''
            parts[name + number] = _ids(dataset)
    return parts


def _leaves(data: Any) -> Iterator[Any]:
    """Walks through loaders, configs and wrappers to the data sets themselves."""
    if data is None:
        return
    if isinstance(data, list | tuple):
        for part in data:
            yield from _leaves(part)
    elif isinstance(data, Mapping):
        for leaf in config_leaves(data):
            # ids need neither media nor pipeline
            yield DATASETS.build({**leaf, 'pipeline': [], 'lazy_init': True})
    elif isinstance(data, DataLoader):
        yield from _leaves(data.dataset)
    elif isinstance(data, BaseDataset):
        yield data
    elif hasattr(data, 'datasets'):
        yield from _leaves(list(data.datasets))
    elif hasattr(data, 'dataset'):
        yield from _leaves(data.dataset)
    else:
        yield data


def _ids(dataset: Any) -> list[str]:
    """Ids of one data set, without looking for its files where possible."""
    lazy = not getattr(dataset, '_fully_initialized', True)
    if lazy and hasattr(dataset, 'list_ids') and dataset._indices is None:
        return dataset.list_ids()
    if not hasattr(dataset, 'sample_ids'):
        raise DataError(
            f"{type(dataset).__name__} has no attribute 'sample_ids', so its clips "
            'cannot be compared with those of other splits. Add the attribute, or '
            'leave DataLeakHook out.'
        )
    return list(dataset.sample_ids)


def _name(dataset: Any, split: str) -> str:
    """Names a part of the data by its role and its source."""
    role = split
    if split == 'train':
        role += ' labeled' if getattr(dataset, 'labeled', False) else ' unlabeled'
    source = getattr(dataset, 'source', type(dataset).__name__)
    return f'{role} ({source})'
