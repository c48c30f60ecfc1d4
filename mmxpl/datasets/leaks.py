"""Makes sure that no clip is in two parts of the data."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from mmengine.dataset import BaseDataset
from torch.utils.data import DataLoader

from mmxpl.registry import DATASETS
from mmxpl.utils import DataError

from .config_leaves import config_leaves
from .id_list import name_some

SPLITS = ('train', 'val', 'test')


def check_disjoint(named_ids: Mapping[str, Sequence[str]]) -> None:
    """Refuses parts of the data that share clips.

    Labeled clips that are also unlabeled, in a second labeled list, or
    evaluated, unlabeled clips that are evaluated, and validation clips that
    are tested on would all make scores better than they are.

    Args:
        named_ids (Mapping[str, Sequence[str]]): ids of each part.

    Raises:
        DataError: If two parts share ids, with the parts, the count and the
            first five ids.
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
        train (Any): data set, data loader, or the config of one of them, of the
            train split; a ``ConcatDataset`` gives one part for each data set in
            it. Defaults to None, no such split.
        val (Any): the same of the validation split. Defaults to None.
        test (Any): the same of the test split. Defaults to None.

    Returns:
        dict[str, list[str]]: Ids by a name such as ``train labeled (FILE)``.
        What a data set asks for is enough: media files are not looked for.

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


def collect_config_ids(cfg: Mapping) -> dict[str, list[str]]:
    """Collects the ids of every part of the data that a config names.

    Args:
        cfg (Mapping): config with ``train_dataloader``, ``val_dataloader`` and
            ``test_dataloader``, each perhaps absent or None.

    Returns:
        dict[str, list[str]]: See :func:`collect_ids`.
    """
    return collect_ids(**{split: cfg.get(f'{split}_dataloader') for split in SPLITS})


def _leaves(data: Any) -> Iterator[Any]:
    """Walks through loaders, configs and wrappers to the data sets themselves."""
    if data is None:
        return
    if isinstance(data, list | tuple):
        for part in data:
            yield from _leaves(part)
    elif isinstance(data, Mapping):
        for leaf in config_leaves(data):
            # neither media nor pipeline are needed to know the ids
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
    """Ids of one data set, without looking for its files where that can be."""
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
    """Names one part of the data by its role and its source."""
    role = split
    if split == 'train':
        role += ' labeled' if getattr(dataset, 'labeled', False) else ' unlabeled'
    source = getattr(dataset, 'source', type(dataset).__name__)
    return f'{role} ({source})'
