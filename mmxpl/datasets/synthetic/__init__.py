"""Synthetic world for sound source localization, generated from a seed.

A world is a folder: ``frames/ID.jpg``, ``audio/ID.wav`` (16-bit mono),
``annotations.json`` (everything), ``vggss.json`` (boxes in the layout of VGG-SS),
``train.txt``, ``val.txt``, ``test.txt`` (ids; with held-out classes also
``SPLIT_heard.txt`` and ``SPLIT_unheard.txt``, in a matched world ``SPLIT_unseen.txt``,
in whose clips the others are not seen either) and ``world.json`` (settings).
"""

from .config import CLASSES, DIFFICULTIES, SPLITS, WorldConfig, preset
from .layout import visible_masks
from .statistics import RULES, area_facts, box_areas, load_entries, reference_rows
from .world import (
    GeneratedClip,
    clip_id,
    clip_layout,
    describe,
    make_clip,
    unheard_classes,
    write_folder,
    write_world,
)
