"""Clips of the synthetic world, and writing a whole world."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from ..annotations import encode_rle, mask_box
from .config import CLASSES, SPLITS, WORLD_VERSION, WorldConfig
from .folder import GeneratedClip, clip_id, write_folder
from .image import paint
from .layout import Layout, sample_layout, visible_masks
from .sound import record


def write_world(
    root: str | Path, config: WorldConfig, workers: int = 1, progress: bool = True
) -> bool:
    """Writes a world unless it is there already.

    The folder appears in one step when everything is written; an interrupted run leaves
    nothing under ``root``.

    Args:
        root (str | Path): Folder to write, see :mod:`mmxpl.datasets.synthetic`.
        config (WorldConfig): Settings.
        workers (int): Number of processes; the files do not depend on it.
        progress (bool): Whether to show a progress bar.

    Returns:
        bool: True if the world was written, False if it was there.

    Raises:
        DataError: If ``root`` holds something else, or this world incompletely.
    """
    unheard = unheard_classes(config)
    groups = dict(
        heard=lambda info: _sounding(info).isdisjoint(unheard),
        unheard=lambda info: not _sounding(info).isdisjoint(unheard),
    )
    return write_folder(
        root,
        partial(make_clip, config),
        {split: config.count(split) for split in SPLITS},
        config.to_dict(),
        dict(
            dataset_type='synthetic',
            task_name='avsl',
            classes=[c.name for c in CLASSES],
            unheard=unheard,
        ),
        sample_rate=config.sample_rate,
        quality=config.quality,
        groups=groups if unheard else None,
        about=dict(classes=[vars(c) for c in CLASSES], unheard=unheard),
        workers=workers,
        progress=progress,
    )


def unheard_classes(config: WorldConfig) -> list[str]:
    """Chooses the classes of the unheard lists.

    Args:
        config (WorldConfig): Seed and number of classes.

    Returns:
        list[str]: Their names in the order of :data:`.config.CLASSES`.
    """
    rng = np.random.default_rng([WORLD_VERSION, config.seed, len(SPLITS)])
    chosen = rng.permutation(len(CLASSES))[: config.unheard]
    return [CLASSES[i].name for i in sorted(chosen)]


def make_clip(config: WorldConfig, split: str, index: int) -> GeneratedClip:
    """Makes one clip; it depends on nothing but the arguments.

    Args:
        config (WorldConfig): Settings.
        split (str): One of ``SPLITS``.
        index (int): Number of the clip within the split.

    Returns:
        GeneratedClip: Image, sound and annotation.
    """
    layout = clip_layout(config, split, index)
    return GeneratedClip(
        image=paint(layout, config, _clip_rng(config, split, index, 1)),
        audio=record(layout, config, _clip_rng(config, split, index, 2)),
        info=describe(layout, clip_id(split, index), config.size),
    )


def clip_layout(config: WorldConfig, split: str, index: int) -> Layout:
    """Draws the layout of one clip without painting it.

    Args:
        config (WorldConfig): Settings.
        split (str): One of ``SPLITS``.
        index (int): Number of the clip within the split.

    Returns:
        Layout: The layout of :func:`make_clip`.
    """
    rng = _clip_rng(config, split, index, 0)
    # drawn in any case, so that the setting moves no other random number
    offscreen = rng.random() < config.offscreen
    return sample_layout(config, rng, offscreen and split == 'train')


def describe(layout: Layout, sample_id: str, size: int) -> dict:
    """Annotates a layout.

    Args:
        layout (Layout): The frame.
        sample_id (str): Id of the clip.
        size (int): Side of the frame in pixels.

    Returns:
        dict: Entry of ``data_list``. ``category`` is the class of the foremost sounding
        object (or of the sound off-screen); ``bboxes`` are the boxes of the visible
        parts of what sounds, x1, y1, x2, y2 in shares of the frame; ``mask`` is the
        COCO run-length encoding of these parts together; ``objects`` lists everything
        in the frame from back to front.
    """
    masks = visible_masks(layout.objects, size)
    objects = [
        dict(
            category=CLASSES[placed.category].name,
            bbox=[round(v, 6) for v in mask_box(mask)],
            sounding=placed.sounding,
        )
        for placed, mask in zip(layout.objects, masks, strict=True)
    ]
    heard = [entry for entry in objects if entry['sounding']]
    union = masks[[placed.sounding for placed in layout.objects]].any(0)
    off = layout.offscreen
    return dict(
        sample_id=sample_id,
        img_path=f'frames/{sample_id}.jpg',
        audio_path=f'audio/{sample_id}.wav',
        category=CLASSES[off].name if off is not None else heard[-1]['category'],
        offscreen=off is not None,
        bboxes=[entry['bbox'] for entry in heard],
        mask=encode_rle(union),
        objects=objects,
    )


def _clip_rng(
    config: WorldConfig, split: str, index: int, stream: int
) -> np.random.Generator:
    """Random numbers of one clip for layout (0), image (1) or sound (2)."""
    return np.random.default_rng(
        [WORLD_VERSION, config.seed, SPLITS.index(split), index, stream]
    )


def _sounding(info: dict) -> set[str]:
    """Classes that sound in a clip."""
    heard = {o['category'] for o in info['objects'] if o['sounding']}
    return heard | {info['category']}
