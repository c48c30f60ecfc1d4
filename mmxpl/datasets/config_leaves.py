"""The data sets that a config names."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmxpl.registry import DATASETS
from mmxpl.utils import DataError

from .split_dataset import split_halves

PARTS = ('labeled', 'unlabeled', 'val', 'test')


def config_leaves(node: Any) -> Iterator[Mapping]:
    """Walks through loaders and wrappers to the data sets themselves.

    Args:
        node (Any): config of a data loader or data set, a list of them, or None.

    Yields:
        Mapping: Config of one data set.
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


def dataset_config(cfg: Any, part: str) -> Mapping:
    """Finds the config of one part of the data.

    Args:
        cfg (Any): The whole config.
        part (str): One of :data:`PARTS`.

    Returns:
        Mapping: The config of its data set.

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
    """Builds a data set that draws its ground truth and decodes no frame or sound.

    Args:
        cfg (Mapping): Config of a data set with ``labeled=True``; of its pipeline
            only ``RasterizeTargets`` is used, with its defaults if there is none.

    Returns:
        AVDataset: Its items have ``sample_id``, ``gt_map``, ``bboxes``,
        ``img_path`` and what else the annotations hold.

    Raises:
        DataError: If the data set carries no annotations.
    """
    steps = [
        step
        for step in cfg.get('pipeline', ())
        if isinstance(step, Mapping)
        and step['type'].split('.')[-1] == 'RasterizeTargets'
    ]
    pipeline = steps or [dict(type='RasterizeTargets')]
    dataset = DATASETS.build({**cfg, 'pipeline': pipeline})
    if not getattr(dataset, 'labeled', False):
        raise DataError(
            f'{dataset.source}: its annotations are needed, and this data set carries '
            'none: set labeled=True in its config.'
        )
    return dataset
