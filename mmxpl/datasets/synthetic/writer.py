"""Writing a world to disk, once."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from mmxpl.datasets.world_folder import Wording, write_folder

from .classes import CLASSES
from .clip import make_clip
from .config import SPLITS, WORLD_VERSION, WorldConfig

_WORDING = Wording('--out', 'synthetic world', 'another world', 'files of this world')


def write_world(
    root: str | Path, config: WorldConfig, workers: int = 1, progress: bool = True
) -> bool:
    """Write a world, unless it is there already.

    The folder appears in one step when everything is written; a run that is cut
    short leaves nothing under ``root``.

    Args:
        root (str | Path): Folder to write, see the package for what it holds.
        config (WorldConfig): Settings.
        workers (int): Processes; the files do not depend on it. Defaults to 1.
        progress (bool): Show a progress bar. Defaults to True.

    Returns:
        bool: True if the world was written, False if it was there.

    Raises:
        DataError: If ``root`` holds something else, or this world incompletely.
    """
    unheard = unheard_classes(config)
    metainfo = dict(
        dataset_type='synthetic',
        task_name='avsl',
        classes=[c.name for c in CLASSES],
        unheard=unheard,
    )
    groups = dict(
        heard=lambda info: _sounding(info).isdisjoint(unheard),
        unheard=lambda info: not _sounding(info).isdisjoint(unheard),
    )
    return write_folder(
        root,
        partial(make_clip, config),
        {split: config.count(split) for split in SPLITS},
        config.to_dict(),
        metainfo,
        sample_rate=config.sample_rate,
        quality=config.quality,
        groups=groups if unheard else None,
        about=dict(classes=[vars(c) for c in CLASSES], unheard=unheard),
        wording=_WORDING,
        workers=workers,
        progress=progress,
    )


def unheard_classes(config: WorldConfig) -> list[str]:
    """Names of the classes kept for the unheard lists, in the table's order."""
    rng = np.random.default_rng([WORLD_VERSION, config.seed, len(SPLITS)])
    chosen = rng.permutation(len(CLASSES))[: config.unheard]
    return [CLASSES[i].name for i in sorted(chosen)]


def _sounding(info: dict) -> set[str]:
    """Classes that are heard in a clip."""
    heard = {o['category'] for o in info['objects'] if o['sounding']}
    return heard | {info['category']}
