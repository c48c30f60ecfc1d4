"""A synthetic world to learn sound source localization in, made from a seed.

A world is a folder: ``frames/ID.jpg``, ``audio/ID.wav`` (16-bit mono),
``annotations.json`` (everything), ``vggss.json`` (boxes in the layout of VGG-SS),
``train.txt``, ``val.txt``, ``test.txt`` (ids; with held-out classes also
``SPLIT_heard.txt`` and ``SPLIT_unheard.txt``) and ``world.json`` (settings).
"""

from .classes import CLASSES, WorldClass
from .clip import Clip, clip_layout, describe, make_clip
from .config import DIFFICULTIES, SPLITS, WORLD_VERSION, WorldConfig, preset
from .facts import RULES, area_facts, box_areas, load_entries, reference_rows
from .layout import Layout, PlacedObject, mask_box, sample_layout, visible_masks
from .writer import unheard_classes, write_world

__all__ = [
    'CLASSES',
    'Clip',
    'DIFFICULTIES',
    'Layout',
    'PlacedObject',
    'RULES',
    'SPLITS',
    'WORLD_VERSION',
    'WorldClass',
    'WorldConfig',
    'area_facts',
    'box_areas',
    'clip_layout',
    'describe',
    'load_entries',
    'make_clip',
    'mask_box',
    'preset',
    'reference_rows',
    'sample_layout',
    'unheard_classes',
    'visible_masks',
    'write_world',
]
