"""Wrappers of data sets, and the data sets that a config wraps."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.dataset import ConcatDataset as EngineConcatDataset

from mmxpl.registry import DATASETS
from mmxpl.utils import DataError
from mmxpl.utils.nested import type_name

from .splits import SPLITS

PARTS = ('labeled', 'unlabeled', 'val', 'test')


@DATASETS.register_module()
class ConcatDataset(EngineConcatDataset):
    """MMEngine's ``ConcatDataset`` for data sets whose meta information differs.

    An unlabeled set (``clips.json``) need not know the classes of the labeled one. The
    meta information is that of the first set.

    Args:
        datasets (Sequence[dict | BaseDataset]): The sets or their configs; for
            training the labeled one first.
        lazy_init (bool): Whether to read lists and annotations at the first use only.
    """

    def __init__(
        self, datasets: Sequence[dict | BaseDataset], lazy_init: bool = False
    ) -> None:
        built = [DATASETS.build(d) if isinstance(d, dict) else d for d in datasets]
        keys = {key for dataset in built for key in dataset.metainfo}
        super().__init__(built, lazy_init=lazy_init, ignore_keys=sorted(keys))


@DATASETS.register_module()
class SplitDataset(ConcatDataset):
    """Data set of which a share is trained on with labels and the rest without.

    ``datasets`` holds the labeled and the unlabeled half, in the order that
    :class:`mmxpl.datasets.CurriculumSampler` expects. Share and seed are given once,
    so no clip can be in both halves.

    Args:
        dataset (dict): Config of an :class:`mmxpl.datasets.AVDataset` that is divided.
        labeled_fraction (float): Share of labeled clips in (0, 1]; see
            :func:`mmxpl.datasets.select_subset`.
        split_seed (int): Chooses which clips are labeled.
        unlabeled (dict, optional): Settings of the unlabeled half alone, such as
            ``dict(audio_swap=0.4)`` to give 40 % of its clips another clip's sound.
        lazy_init (bool): Whether to read lists and annotations at the first use only.

    Raises:
        DataError: If ``dataset`` or ``unlabeled`` has a setting that is decided here.
    """

    def __init__(
        self,
        dataset: dict,
        labeled_fraction: float,
        split_seed: int = 0,
        unlabeled: dict | None = None,
        lazy_init: bool = False,
    ) -> None:
        cfg = dict(
            dataset=dataset,
            labeled_fraction=labeled_fraction,
            split_seed=split_seed,
            unlabeled=unlabeled,
        )
        decided = {'fraction', 'labeled', 'lazy_init', 'split_seed', 'subset'}
        for where, given in (('dataset', dataset), ('unlabeled', unlabeled or {})):
            for name in sorted(decided & given.keys()):
                raise DataError(
                    f'SplitDataset: {where}.{name} has no effect: set labeled_fraction,'
                    ' split_seed and lazy_init of SplitDataset itself.'
                )
        halves = [{**half, 'lazy_init': lazy_init} for half in split_halves(cfg)]
        super().__init__(halves, lazy_init=lazy_init)


def split_halves(cfg: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Derives the configs of the labeled and the unlabeled half of a SplitDataset."""
    share = dict(fraction=cfg['labeled_fraction'], split_seed=cfg.get('split_seed', 0))
    halves = (('labeled', {}), ('unlabeled', cfg.get('unlabeled') or {}))
    return [
        {**cfg['dataset'], **own, **share, 'subset': name, 'labeled': name == 'labeled'}
        for name, own in halves
    ]


def config_leaves(node: Any) -> Iterator[Mapping]:
    """Walks through loaders and wrappers to the configs of the data sets themselves.

    Args:
        node (Any): Config of a data loader or data set, a list of them, or None.
    """
    if node is None:
        return
    if isinstance(node, list | tuple):
        for part in node:
            yield from config_leaves(part)
        return
    if 'labeled_fraction' in node:
        yield from split_halves(node)
        return
    inner = node.get('datasets') or node.get('dataset')
    if inner is None:
        yield node
    else:
        yield from config_leaves(inner)


def media_pipeline(pipeline: Sequence[Mapping]) -> list[dict]:
    """Derives the pipeline that reads the media themselves: without any cache."""
    steps: list[Mapping] = []
    for step in pipeline:
        is_pair = type_name(step) == 'LoadFeatures'
        steps += (step['frame'], step['audio']) if is_pair else (step,)
    return [{key: step[key] for key in step if key != 'cache'} for step in steps]


def dataset_config(cfg: Any, part: str) -> Mapping:
    """Finds the data set of one part of the data, of :data:`PARTS`, in a config.

    Raises:
        DataError: If the config has none.
    """
    loader = 'train' if part in ('labeled', 'unlabeled') else part
    node = cfg.get(f'{loader}_dataloader')
    for leaf in config_leaves(node):
        if loader != 'train' or bool(leaf.get('labeled')) == (part == 'labeled'):
            return leaf
    raise DataError(f'--part {part}: the config has no such data set.')


def annotations_only(cfg: Mapping) -> Any:
    """Builds a data set that draws its ground truth but decodes no frame or sound.

    Of the pipeline in the config only ``RasterizeTargets`` is used, with default
    settings if there is none. A data set without ``labeled=True`` is a DataError.

    Returns:
        AVDataset: Data set whose items have ``sample_id``, ``gt_map``, ``bboxes``,
        ``img_path`` and the other keys of the annotations.
    """
    default = dict(type='RasterizeTargets')
    configs = (step for step in cfg.get('pipeline', ()) if isinstance(step, Mapping))
    steps = [c for c in configs if type_name(c) == default['type']]
    dataset = DATASETS.build({**cfg, 'pipeline': steps or [default]})
    if not getattr(dataset, 'labeled', False):
        raise DataError(
            f'{dataset.source}: its annotations are needed, and this data set carries '
            'none: set labeled=True in its config.'
        )
    return dataset


def collect_ids(
    train: Any = None, val: Any = None, test: Any = None
) -> dict[str, list[str]]:
    """Collects the ids of every part of the data.

    Each split is a data set or data loader, the config of one, or None; a
    ``ConcatDataset`` gives one part per data set.

    Returns:
        dict[str, list[str]]: Ids by a name such as ``train labeled (FILE)``, as the
        data sets ask for them; media files are not looked for.
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
    elif isinstance(data, BaseDataset):
        yield data
    elif hasattr(data, 'datasets'):
        yield from _leaves(list(data.datasets))
    elif hasattr(data, 'dataset'):  # a loader, or a wrapper of one set
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
