"""Photographs behind the cut-outs, and their division among the splits."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import cv2
import numpy as np

from mmxpl.datasets.image_io import decode_frame
from mmxpl.utils import DataError

from .names import SCIKIT_IMAGE, WALLPAPERS

_ENDINGS = ('.jpg', '.jpeg', '.png', '.webp')

#: Shares of the photographs that validation and test get, at least one each.
_SHARES = {'val': 0.1, 'test': 0.2}


def find_backgrounds(stamps: Path, folders: list[Path] | None) -> dict[str, Path]:
    """Lists the photographs to use as backgrounds by name, on any machine alike.

    Those are all of ``folders``, or by default the known wallpapers below ``stamps``,
    the unpacked packages, and the photographs of an installed scikit-image.

    Raises:
        DataError: A folder is missing.
    """
    if folders is None:
        share = stamps / 'usr' / 'share'
        found = {_relative(p, share): p for p in _known_wallpapers(share)}
        found |= {f'skimage/{p.name}': p for p in _scikit_image()}
        return found
    found = {}
    for i, folder in enumerate(folders):
        prefix = f'{i}/' if len(folders) > 1 else ''
        found |= {prefix + _relative(p, folder): p for p in _images(folder)}
    return found


def read_backgrounds(
    paths: dict[str, Path], keep: int
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Reads photographs, reduced to a shorter side of ``keep`` pixels.

    Returns:
        tuple[dict[str, np.ndarray], dict[str, str]]: Name -> uint8 BGR of shape
        (H, W, 3), and the names left out with the reason.
    """
    photos, dropped, seen = {}, {}, {}
    for name, path in paths.items():
        try:
            image = decode_frame(str(path))
        except DataError:
            dropped[name] = 'unreadable image'
            continue
        side = min(image.shape[:2])
        if side < 128:
            dropped[name] = f'too small ({image.shape[1]} x {image.shape[0]} pixels)'
            continue
        if side > keep:
            scale = keep / side
            image = cv2.resize(
                image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
            )
        # One photograph in two splits would not be new to the second.
        first = seen.setdefault(hashlib.sha256(image.tobytes()).digest(), name)
        if first != name:
            dropped[name] = f'the same picture (as {first})'
            continue
        photos[name] = image
    return photos, dropped


def share_out(names: list[str], seed: int) -> dict[str, list[str]]:
    """Gives every split photographs of its own, by name; no name is in two splits.

    Raises:
        DataError: Fewer than three photographs.
    """
    if len(names) < 3:
        raise DataError(
            f'--backgrounds: {len(names)} usable photographs, at least 3 are needed '
            '(one a split). Unpack mate-backgrounds, lomiri-wallpapers-16.04, '
            'lxqt-themes or plasma-workspace-wallpapers into the folder of --stamps, '
            'or name folders of photographs (JPEG, PNG or WebP)'
        )
    order = np.random.default_rng([seed, 7]).permutation(sorted(names)).tolist()
    val, test = (max(1, round(_SHARES[s] * len(order))) for s in ('val', 'test'))
    return dict(
        val=sorted(order[:val]),
        test=sorted(order[val : val + test]),
        train=sorted(order[val + test :]),
    )


def _known_wallpapers(share: Path) -> list[Path]:
    ends = tuple(name + ending for name in WALLPAPERS for ending in _ENDINGS)
    return [p for p in _files(share) if p.as_posix().endswith(ends)]


def _scikit_image() -> list[Path]:
    spec = importlib.util.find_spec('skimage')
    if spec is None or spec.origin is None:
        return []
    folder = Path(spec.origin).parent / 'data'
    return [folder / name for name in SCIKIT_IMAGE if (folder / name).is_file()]


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f'{folder}: no such folder; --backgrounds names folders')
    return [p for p in _files(folder) if p.suffix.lower() in _ENDINGS]


def _files(folder: Path) -> list[Path]:
    # Links would show one photograph under two names.
    return sorted(p for p in folder.rglob('*') if p.is_file() and not p.is_symlink())


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
