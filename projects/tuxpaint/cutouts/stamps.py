"""Selection of the photo cut-outs that come with a recording."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmxpl.datasets.image_io import decode_image
from mmxpl.utils import DataError

from .names import DRAWING_FOLDERS, KINDS, LEFT_OUT
from .sound import RATE, SILENCE, find_copies, read_recording, rms, trim

#: Longer side of the smallest cut-out that is used, in pixels.
MIN_SIDE = 75

#: Smallest share of a cut-out's pixels that is opaque (a glass, a ghost and a
#: lightning have no outline that a mask could follow).
MIN_OPAQUE = 0.65

#: Recordings of at least this many seconds are cut in two: one part for training
#: and validation, one for the test.
MIN_SECONDS_TO_CUT = 4.0
_TRAIN_PART = 0.6

_ALL = ('train', 'val', 'test')


@dataclass(frozen=True)
class Photo:
    """Cut-out photograph.

    Args:
        name (str): Path below the folder of stamps.
        image (np.ndarray): uint8 BGRA of shape (H, W, 4), trimmed to what is
            visible, colours continued beyond the outline.
        splits (tuple[str]): Splits that may show it.
    """

    name: str
    image: np.ndarray
    splits: tuple[str, ...] = _ALL


@dataclass(frozen=True)
class Take:
    """Recording or a part of one.

    Args:
        name (str): Path below the folder of stamps, for a part with its seconds.
        wave (np.ndarray): float32 of shape (T,), 16 kHz.
        splits (tuple[str]): Splits that may play it.
    """

    name: str
    wave: np.ndarray
    splits: tuple[str, ...] = _ALL


@dataclass(frozen=True)
class Kind:
    """Class of stamps with its photographs and recordings.

    Args:
        name (str): Name of the class.
        photos (tuple[Photo]): At least one for every split.
        takes (tuple[Take]): At least one for every split.
    """

    name: str
    photos: tuple[Photo, ...]
    takes: tuple[Take, ...]


@dataclass
class Stamps:
    """Usable stamps of a folder.

    Args:
        kinds (list[Kind]): Classes in the order of their names.
        dropped (dict[str, str]): Stamp left out -> reason.
        files (list[Path]): Files that were used.
    """

    kinds: list[Kind]
    dropped: dict[str, str]
    files: list[Path]


def find_stamps(root: Path) -> Path:
    """Finds the folder of stamps in an unpacked Debian package, or the one given.

    Raises:
        DataError: If there is no such folder.
    """
    inside = root / 'usr' / 'share' / 'tuxpaint' / 'stamps'
    found = inside if inside.is_dir() else root
    if not found.is_dir():
        raise DataError(
            f'{root}: no such folder; unpack the package tuxpaint-stamps-default '
            'with "dpkg -x FILE.deb FOLDER" and pass FOLDER as --stamps'
        )
    return found


def read_stamps(root: Path) -> Stamps:
    """Reads every usable pair of cut-out and recording below a folder.

    Raises:
        DataError: Fewer than three classes are left; a scene needs up to three.
    """
    root = find_stamps(root)
    dropped: dict[str, str] = {}
    sounds = {p: s for p in sorted(root.rglob('*.png')) if (s := _sound_of(p))}
    extras = _silent_relatives(root, sounds)
    photos, waves, files = {}, {}, []
    for path in [*sounds, *extras]:
        name = path.relative_to(root).as_posix()
        try:
            _refuse_by_name(path, root)
            if path in sounds:
                wave = _read_sound(sounds[path])
            photos[path] = Photo(name, read_cutout(path))
        except ValueError as error:
            dropped[name] = str(error)
            continue
        files.append(path)
        if path in sounds:
            waves[path] = wave
            files.append(sounds[path])
    kinds = _group(root, photos, waves, dropped)
    if len(kinds) < 3:
        raise DataError(
            f'{root}: {len(kinds)} usable classes (PNG with transparency and '
            f'NAME.ogg or NAME.wav beside it), 3 are needed; {len(dropped)} stamps '
            f'were left out: {summarise(dropped)}'
        )
    return Stamps(kinds, dropped, sorted(files))


def choose(items: tuple, split: str, rng: np.random.Generator) -> Photo | Take:
    """Draws one of the photographs or recordings that a split may use."""
    usable = [item for item in items if split in item.splits]
    return usable[rng.integers(len(usable))]


def summarise(dropped: dict[str, str]) -> str:
    """Counts reasons, the most frequent first."""
    counts = Counter(reason.split(' (')[0] for reason in dropped.values())
    return ', '.join(f'{n} {reason}' for reason, n in counts.most_common()) or 'none'


def read_cutout(path: Path) -> np.ndarray:
    """Reads a PNG with transparency and cleans the colours along its outline.

    Pixels at the outline carry colours of what was behind the object when it was
    cut out. They take the colour of the nearest opaque pixel instead, so that no
    halo shows on another background.

    Returns:
        np.ndarray: uint8 BGRA of shape (H, W, 4), trimmed to the visible part.

    Raises:
        ValueError: Not readable, without transparency, too small or see-through.
    """
    try:
        image = decode_image(str(path), 'image', cv2.IMREAD_UNCHANGED)
    except DataError:
        raise ValueError('unreadable image') from None
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 4:
        raise ValueError('no alpha channel of 8 bits')
    alpha = image[..., 3]
    visible = alpha > 10
    if visible.mean() > 0.97:
        raise ValueError('no cut-out (the whole image is opaque)')
    if not visible.any():
        raise ValueError('nothing visible')
    opaque = (alpha > 200).sum() / visible.sum()
    if opaque < MIN_OPAQUE:
        raise ValueError(f'see-through (only {opaque:.0%} of it is opaque)')
    rows, columns = np.flatnonzero(visible.any(1)), np.flatnonzero(visible.any(0))
    image = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if max(image.shape[:2]) < MIN_SIDE:
        raise ValueError(f'too small ({image.shape[1]} x {image.shape[0]} pixels)')
    return _continue_colours(image)


def _continue_colours(image: np.ndarray) -> np.ndarray:
    """Fills what is not opaque with the colour of the nearest opaque pixel."""
    outside = (image[..., 3] < 250).astype(np.uint8)
    if not outside.any() or outside.all():
        return image
    _, label = cv2.distanceTransformWithLabels(
        outside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    palette = np.zeros((label.max() + 1, 3), np.uint8)
    inside = outside == 0
    palette[label[inside]] = image[inside][:, :3]
    return np.dstack([palette[label], image[..., 3]])


def _sound_of(path: Path) -> Path | None:
    """Recording beside a stamp; spoken descriptions have other names."""
    for ending in ('.ogg', '.wav'):
        sound = path.with_suffix(ending)
        if sound.is_file():
            return sound
    return None


def _silent_relatives(root: Path, sounds: dict[Path, Path]) -> list[Path]:
    """Photographs without a sound that show a kind of thing which has one."""
    heard = {path.stem for path in sounds}
    wanted = {
        stem
        for stems in KINDS.values()
        if heard & set(stems)
        for stem in set(stems) - heard
    }
    return [p for p in sorted(root.rglob('*.png')) if p.stem in wanted]


def _refuse_by_name(path: Path, root: Path) -> None:
    for folder in path.relative_to(root).parent.parts:
        if folder in DRAWING_FOLDERS:
            raise ValueError(f'a drawing (folder {folder}/)')
    if path.stem in LEFT_OUT:
        raise ValueError(LEFT_OUT[path.stem])


def _read_sound(path: Path) -> np.ndarray:
    wave = read_recording(path)
    if rms(wave) < SILENCE:
        raise ValueError(f'silent recording (RMS {rms(wave):.4f})')
    return trim(wave)


def _group(root, photos, waves, dropped) -> list[Kind]:
    """Forms classes; two classes never share a recording."""
    kind_of = {stem: kind for kind, stems in KINDS.items() for stem in stems}
    rank = {stem: i for stems in KINDS.values() for i, stem in enumerate(stems)}
    heard = sorted(waves)
    copies = find_copies([waves[p] for p in heard])
    for copy, first in copies.items():
        mine, theirs = heard[copy], heard[first]
        del waves[mine]
        if kind_of.get(mine.stem, mine.stem) != kind_of.get(theirs.stem, theirs.stem):
            other = theirs.relative_to(root).as_posix()
            dropped[photos.pop(mine).name] = f'recording of another class ({other})'
    members: dict[str, list[Path]] = {}
    for path in sorted(photos, key=lambda p: (rank.get(p.stem, 0), p)):
        members.setdefault(kind_of.get(path.stem, path.stem), []).append(path)
    kinds = []
    for name, paths in sorted(members.items()):
        takes = [_takes(root, p, waves[p]) for p in paths if p in waves]
        if not takes:
            for path in paths:
                dropped[photos[path].name] = 'no usable recording of its class'
            continue
        shown = [photos[p] for p in paths]
        kinds.append(Kind(name, _keep_last(shown), _keep_last_take(takes)))
    return kinds


def _takes(root: Path, path: Path, wave: np.ndarray) -> list[Take]:
    """One take for all splits, or a long recording in two parts."""
    name = path.relative_to(root).with_suffix('').as_posix()
    if len(wave) < MIN_SECONDS_TO_CUT * RATE:
        return [Take(name, wave)]
    cut = int(_TRAIN_PART * len(wave))
    return [
        Take(f'{name}[:{cut / RATE:.2f}s]', wave[:cut], ('train', 'val')),
        Take(f'{name}[{cut / RATE:.2f}s:]', wave[cut:], ('test',)),
    ]


def _keep_last(photos: list[Photo]) -> tuple[Photo, ...]:
    """Of several photographs the last is for the test only."""
    if len(photos) == 1:
        return tuple(photos)
    last = photos[-1]
    return (*photos[:-1], Photo(last.name, last.image, ('test',)))


def _keep_last_take(takes: list[list[Take]]) -> tuple[Take, ...]:
    """Of several recordings the last is for the test only."""
    flat = [take for parts in takes[:-1] for take in parts]
    if not flat:
        return tuple(takes[0])
    return (*flat, *(Take(t.name, t.wave, ('test',)) for t in takes[-1]))
