"""One clip of a world: image, sound and annotation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco_mask

from mmxpl.datasets.world_folder import clip_id

from .classes import CLASSES
from .config import SPLITS, WORLD_VERSION, WorldConfig
from .layout import Layout, mask_box, sample_layout, visible_masks
from .listening import record
from .painting import paint


@dataclass(frozen=True)
class Clip:
    """A finished clip.

    Args:
        image (np.ndarray): uint8 of shape (size, size, 3), B, G, R.
        audio (np.ndarray): int16 of shape (samples,), mono.
        info (dict): One entry of ``data_list``.
    """

    image: np.ndarray
    audio: np.ndarray
    info: dict


def clip_rng(
    config: WorldConfig, split: str, index: int, stream: int
) -> np.random.Generator:
    """Random numbers of one clip, independent of every other clip.

    Args:
        config (WorldConfig): Whose seed is read.
        split (str): One of ``SPLITS``.
        index (int): Clip within the split.
        stream (int): 0 for the layout, 1 for the image, 2 for the sound: the one
            does not shift when the other is changed.

    Returns:
        np.random.Generator: Freshly seeded.
    """
    return np.random.default_rng(
        [WORLD_VERSION, config.seed, SPLITS.index(split), index, stream]
    )


def clip_layout(config: WorldConfig, split: str, index: int) -> Layout:
    """Layout of one clip, without painting it."""
    rng = clip_rng(config, split, index, 0)
    # Drawn in any case, so that the knob moves no other random number.
    offscreen = rng.random() < config.offscreen
    return sample_layout(config, rng, offscreen and split == 'train')


def describe(layout: Layout, sample_id: str, size: int) -> dict:
    """Annotation of a layout.

    Args:
        layout (Layout): What is in the frame.
        sample_id (str): Id of the clip.
        size (int): Side of the frame in pixels.

    Returns:
        dict: Entry of ``data_list``. ``category`` is the class of the foremost
        sounding object (or of what sounds off-screen); ``bboxes`` are the boxes
        of the visible part of what sounds, x1, y1, x2, y2 in shares of the
        frame; ``mask`` is the COCO RLE of these visible parts together;
        ``objects`` names everything in the frame from back to front.
    """
    masks = visible_masks(layout.objects, size)
    objects = [
        dict(
            category=CLASSES[placed.category].name,
            bbox=mask_box(mask),
            sounding=placed.sounding,
        )
        for placed, mask in zip(layout.objects, masks, strict=True)
    ]
    heard = [entry for entry in objects if entry['sounding']]
    union = np.zeros((size, size), bool)
    for placed, mask in zip(layout.objects, masks, strict=True):
        union |= mask & placed.sounding
    rle = coco_mask.encode(np.asfortranarray(union, np.uint8))
    off = layout.offscreen
    return dict(
        sample_id=sample_id,
        img_path=f'frames/{sample_id}.jpg',
        audio_path=f'audio/{sample_id}.wav',
        category=CLASSES[off].name if off is not None else heard[-1]['category'],
        offscreen=off is not None,
        bboxes=[entry['bbox'] for entry in heard],
        mask=dict(size=[size, size], counts=rle['counts'].decode('ascii')),
        objects=objects,
    )


def make_clip(config: WorldConfig, split: str, index: int) -> Clip:
    """Make one clip; it depends on nothing but the arguments.

    Args:
        config (WorldConfig): Settings.
        split (str): One of ``SPLITS``.
        index (int): Clip within the split.

    Returns:
        Clip: Image, sound and annotation.
    """
    layout = clip_layout(config, split, index)
    return Clip(
        image=paint(layout, config, clip_rng(config, split, index, 1)),
        audio=record(layout, config, clip_rng(config, split, index, 2)),
        info=describe(layout, clip_id(split, index), config.size),
    )
