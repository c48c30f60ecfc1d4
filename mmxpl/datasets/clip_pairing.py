"""Which other clip goes with a clip, decided by a seed and ids alone."""

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from mmxpl.utils import DataError


class ClipClasses(NamedTuple):
    """Classes in a clip's frame, and those that sound in it."""

    shown: frozenset[str]
    heard: frozenset[str]


def clip_classes(info: dict) -> ClipClasses:
    """Tells what the annotation knows of a clip's classes.

    Args:
        info (dict): The clip's entry: ``category`` and perhaps ``objects``, each
            with ``category`` and ``sounding``.

    Returns:
        ClipClasses: The category is both shown and heard.

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
    """Random numbers of one clip, independent of every other clip.

    Args:
        sample_id (str): the clip.
        purpose (str): numbers for another purpose differ.
        seed (int): numbers for another seed differ.

    Returns:
        np.random.Generator: Freshly seeded.
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
        ids (Sequence[str]): N ids; their order does not matter to the choice.
        suits (Callable): takes the index of a clip and of a candidate.
        purpose (str): what for; choices for another purpose are independent.
        seed (int): of the choice.

    Returns:
        list[int]: For each clip the index of its partner.

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
    """Gives a share of the clips the sound of another clip, as wild video has it.

    Which clips, and whose sound, depends on ids and seed alone. Each gets the sound of
    another one of the chosen, and every chosen sound is given to one clip.

    Args:
        entries (Sequence[dict]): clips with ``sample_id``, ``audio_path`` and
            ``frame_time``, changed in place.
        fraction (float): share of the clips, in [0, 1].
        seed (int): of the choice.

    Returns:
        int: how many clips were given another sound.

    Raises:
        DataError: If a single clip is chosen, which no other could give its sound.
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
