"""Choice of another clip for each clip, and exchange of sounds between clips.

Every choice depends on a seed and on ids alone.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from mmxpl.utils import DataError


class ClipClasses(NamedTuple):
    """Classes in the frame of a clip, and those of them that sound."""

    shown: frozenset[str]
    heard: frozenset[str]


def clip_classes(info: dict) -> ClipClasses:
    """Collects the classes that the annotation of a clip names.

    Args:
        info (dict): Entry of the clip with ``category`` and optionally ``objects``,
            each with ``category`` and ``sounding``.

    Returns:
        ClipClasses: Shown and heard classes, both with the category.

    Raises:
        DataError: If the clip has no category.
    """
    category, objects = info.get('category'), info.get('objects') or []
    if category is None:
        raise DataError(
            f"'{info['sample_id']}' has no category, by which clips of other classes "
            'are found. Add it to the annotation.'
        )
    return ClipClasses(
        frozenset([category, *(o['category'] for o in objects)]),
        frozenset([category, *(o['category'] for o in objects if o['sounding'])]),
    )


def rng_of(sample_id: str, purpose: str, seed: int) -> np.random.Generator:
    """Creates the random generator of one clip, independent of all other clips.

    Args:
        sample_id (str): Id of the clip.
        purpose (str): Purpose; generators for different purposes differ.
        seed (int): Seed.

    Returns:
        np.random.Generator: Freshly seeded generator.
    """
    digest = hashlib.sha256(f'{seed}\n{purpose}\n{sample_id}'.encode()).digest()
    return np.random.default_rng(int.from_bytes(digest, 'little'))


def choose_partners(
    ids: Sequence[str],
    suits: Callable[[int, int], bool],
    purpose: str,
    seed: int,
) -> list[int]:
    """Chooses another clip for each clip at random.

    Args:
        ids (Sequence[str]): N ids; the choice does not depend on their order.
        suits (Callable): Tells whether a candidate suits a clip, both given by index.
        purpose (str): Purpose; choices for different purposes are independent.
        seed (int): Seed of the choice.

    Returns:
        list[int]: Index of the partner of each clip.

    Raises:
        DataError: If no other clip suits one.
    """
    order = sorted(range(len(ids)), key=lambda i: ids[i])
    partners = []
    for i, sample_id in enumerate(ids):
        candidates = rng_of(sample_id, purpose, seed).permutation(order)
        partner = next((int(j) for j in candidates if j != i and suits(i, j)), None)
        if partner is None:
            raise DataError(
                f"No other clip of the set suits '{sample_id}' ({purpose}): use a set "
                'of more classes.'
            )
        partners.append(partner)
    return partners


def swap_sounds(entries: Sequence[dict], fraction: float, seed: int) -> int:
    """Exchanges the sounds of a share of the clips among them.

    Each chosen clip gets the sound of another chosen one, and each chosen sound goes to
    one clip.

    Args:
        entries (Sequence[dict]): Clips with ``sample_id``, ``audio_path`` and
            ``frame_time``, changed in place.
        fraction (float): Share of the clips in [0, 1].
        seed (int): Seed of the choice.

    Returns:
        int: Number of clips with another sound.

    Raises:
        DataError: If a single clip would be chosen.
    """
    order = sorted(
        range(len(entries)),
        key=lambda i: rng_of(entries[i]['sample_id'], 'swap', seed).random(),
    )
    chosen = order[: round(fraction * len(entries))]
    if len(chosen) == 1:
        raise DataError(
            f'audio_swap={fraction} of {len(entries)} clips is one, and there is no '
            'other sound to give it: raise audio_swap.'
        )
    sounds = [(entries[i]['audio_path'], entries[i]['frame_time']) for i in chosen]
    for i, sound in zip(chosen, sounds[1:] + sounds[:1], strict=True):
        entries[i]['audio_path'], entries[i]['frame_time'] = sound
    return len(chosen)
