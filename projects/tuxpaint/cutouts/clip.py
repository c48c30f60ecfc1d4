"""One clip: frame, sound and annotation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmxpl.datasets.annotations import encode_rle, mask_box
from mmxpl.datasets.synthetic import GeneratedClip, clip_id

from .scene import Scene, make_scene
from .sound import RATE, add_background, mix
from .stamps import Kind, Take, choose

#: In the order in which they are written; the index seeds the clips.
SPLITS = ('train', 'val', 'test')

#: Share of the frames with three objects in which two of them sound.
TWO_SOUNDING = 0.3


@dataclass(frozen=True)
class ClipMaker:
    """Makes clips; each depends on nothing but the fields, its split and index.

    ``info`` has, beside what every data set has, for each object whether training
    knows its photograph and its recording (``new_photo``, ``new_sound``).

    Args:
        kinds (list[Kind]): Classes.
        backgrounds (dict[str, list[np.ndarray]]): Split -> its photographs.
        size (int): Side of the frame in pixels.
        seconds (float): Length of the sound.
        seed (int): Seed of the whole data set.
        background (float | None): Level in dB, beside what sounds in the frame, of a
            recording of a class that is not in it; None for no such sound.
    """

    kinds: list[Kind]
    backgrounds: dict[str, list[np.ndarray]]
    size: int
    seconds: float
    seed: int
    background: float | None = None

    def __call__(self, split: str, index: int) -> GeneratedClip:
        """Makes clip number ``index`` of a split."""
        rng = np.random.default_rng([self.seed, SPLITS.index(split), index])
        scene = make_scene(self.kinds, self.backgrounds[split], split, self.size, rng)
        order = rng.permutation(len(scene.patches)).tolist()
        two = len(order) > 2 and rng.random() < TWO_SOUNDING
        takes = {
            i: choose(scene.patches[i].kind.takes, split, rng) for i in order[: 1 + two]
        }
        waves = [take.wave for take in takes.values()]
        audio, levels = mix(waves, round(self.seconds * RATE), rng)
        loudest = list(takes)[int(np.argmax(levels))]
        info = _describe(clip_id(split, index), scene, takes, loudest)
        if self.background is not None:
            # drawn last, so that all else is that of the clip without it
            seen = {patch.kind.name for patch in scene.patches}
            absent = [kind for kind in self.kinds if kind.name not in seen]
            kind = absent[rng.integers(len(absent))]
            take = choose(kind.takes, split, rng)
            audio = add_background(audio, take.wave, self.background, rng)
            info['background_sound'] = dict(category=kind.name, sound=take.name)
        return GeneratedClip(scene.image, np.rint(audio * 32767).astype(np.int16), info)


def _describe(name: str, scene: Scene, takes: dict[int, Take], loudest: int) -> dict:
    """Entry of ``data_list``; ``category`` is the class of the loudest sound."""
    objects = []
    for i, (patch, mask) in enumerate(zip(scene.patches, scene.masks, strict=True)):
        entry = dict(
            category=patch.kind.name,
            bbox=mask_box(mask),
            sounding=i in takes,
            photo=patch.photo.name,
            new_photo='train' not in patch.photo.splits,
        )
        if i in takes:
            entry['sound'] = takes[i].name
            entry['new_sound'] = 'train' not in takes[i].splits
        objects.append(entry)
    union = scene.masks[list(takes)].any(0)
    return dict(
        sample_id=name,
        img_path=f'frames/{name}.jpg',
        audio_path=f'audio/{name}.wav',
        category=scene.patches[loudest].kind.name,
        bboxes=[entry['bbox'] for entry in objects if entry['sounding']],
        mask=encode_rle(union),
        objects=objects,
    )
