"""Scenes: cut-outs on a photograph with exact masks of the visible parts."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .stamps import Kind, Photo, choose

#: Quantiles (0, 0.1 … 1) from which the share of the frame that a cut-out's box
#: takes is drawn. Chosen such that the boxes of what sounds in the finished frames
#: are spread like the boxes of VGG-SS (mean 0.31, median 0.25 of the frame): large
#: objects do not fit as often, and the frame cuts them.
_QUANTILES = (0.015, 0.042, 0.08, 0.13, 0.19, 0.25, 0.33, 0.44, 0.61, 0.9, 1.3)

#: Powers of the uniform number that goes into the quantiles, by the number of
#: objects: the more objects, the more of the large ones do not fit.
_POWERS = {2: 0.9, 3: 0.65}

#: Smallest visible share of any cut-out, of its whole silhouette.
_MIN_VISIBLE = 0.72

#: How far a cut-out may reach out of the frame, as a share of its box's side.
_OUTSIDE = 0.1

#: Longest side of a cut-out, as a share of the frame's.
_LARGEST = 1.25

#: Enlargement at which the cut-outs (mostly 200 pixels wide) look blurred.
_MAX_ENLARGE = 2.0


@dataclass(frozen=True)
class Patch:
    """Cut-out at its final size.

    Args:
        kind (Kind): Its class.
        photo (Photo): Where it is from.
        image (np.ndarray): float32 of shape (H, W, 4), 0 to 255, colours
            multiplied by the alpha.
    """

    kind: Kind
    photo: Photo
    image: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """np.ndarray: bool of shape (H, W), True where the object is mostly opaque."""
        return self.image[..., 3] > 127.5


@dataclass(frozen=True)
class Scene:
    """Finished frame.

    Args:
        image (np.ndarray): uint8 BGR of shape (size, size, 3).
        patches (tuple[Patch]): From back to front.
        masks (np.ndarray): Bool of shape (N, size, size), the visible pixels.
    """

    image: np.ndarray
    patches: tuple[Patch, ...]
    masks: np.ndarray


def make_scene(
    kinds: list[Kind],
    backgrounds: list[np.ndarray],
    split: str,
    size: int,
    rng: np.random.Generator,
) -> Scene:
    """Composes a frame of two or three cut-outs of different classes.

    Nothing here knows which of them will sound. ``kinds`` are at least three classes,
    and ``split`` decides which photographs of a class may be used.
    """
    count = 2 + int(rng.random() < 0.5)
    chosen = [kinds[i] for i in rng.permutation(len(kinds))[:count]]
    placed = None
    while placed is None:
        patches = [_make_patch(kind, split, size, count, rng) for kind in chosen]
        placed = _place(patches, size, rng)
    canvas = _background(backgrounds, size, rng)
    for patch, corner in zip(patches, placed, strict=True):
        _paste(canvas, patch.image, corner)
    return Scene(_camera(canvas, rng), tuple(patches), _visible(patches, placed, size))


def _make_patch(kind, split, size, count, rng) -> Patch:
    """Cut-out turned, mirrored, coloured and scaled to a random size."""
    photo = choose(kind.photos, split, rng)
    image = photo.image[:, ::-1] if rng.random() < 0.5 else photo.image
    height, width = image.shape[:2]
    # A cello or a bassoon lies at any angle, an elephant does not.
    most = 60 if max(height / width, width / height) > 2.8 else 10
    angle = np.deg2rad(rng.uniform(-most, most))
    share = np.interp(
        rng.random() ** _POWERS[count], np.linspace(0, 1, len(_QUANTILES)), _QUANTILES
    )
    box = _turned_size(width, height, angle)
    scale = np.sqrt(share * size**2 / (box[0] * box[1]))
    scale = min(scale, _MAX_ENLARGE * size / 224, _LARGEST * size / max(box))
    colours = _jitter(image[..., :3], rng, 0.18)
    alpha = image[..., 3:].astype(np.float32) / 255
    image = np.dstack([colours * alpha, alpha * 255])
    return Patch(kind, photo, _turn(_resize(image, scale), angle))


def _turned_size(width, height, angle) -> tuple[float, float]:
    cos, sin = abs(np.cos(angle)), abs(np.sin(angle))
    return width * cos + height * sin, width * sin + height * cos


def _resize(image, scale) -> np.ndarray:
    height, width = image.shape[:2]
    shape = max(2, round(width * scale)), max(2, round(height * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, shape, interpolation=way)


def _turn(image, angle) -> np.ndarray:
    """Rotates on a canvas that holds the result and trims it to what is visible."""
    height, width = image.shape[:2]
    out = np.ceil(_turned_size(width, height, angle)).astype(int) + 2
    matrix = cv2.getRotationMatrix2D((0, 0), np.rad2deg(angle), 1)
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    matrix[:, 2] = (out - 1) / 2 - matrix[:, :2] @ centre
    turned = cv2.warpAffine(image, matrix, tuple(out.tolist()), flags=cv2.INTER_LINEAR)
    seen = turned[..., 3] > 127.5
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    if not len(rows):
        return turned
    return turned[
        max(rows[0] - 1, 0) : rows[-1] + 2, max(columns[0] - 1, 0) : columns[-1] + 2
    ]


def _place(patches, size, rng) -> list[tuple[int, int]] | None:
    """Finds corners at which enough of every cut-out is visible; None if none are."""
    totals = np.array([patch.mask.sum() for patch in patches])
    if totals.min() < 12:
        return None
    for _ in range(12):
        corners = [_corner(patch.image.shape, size, rng) for patch in patches]
        seen = _visible(patches, corners, size).sum((1, 2))
        if (seen >= _MIN_VISIBLE * totals).all():
            return corners
    return None


def _corner(shape, size, rng) -> tuple[int, int]:
    """Upper left corner (row, column), a little outside the frame at most."""
    corner = []
    for side in shape[:2]:
        low, high = -_OUTSIDE * side, size - (1 - _OUTSIDE) * side
        corner.append(round(rng.uniform(min(low, high), max(low, high))))
    return corner[0], corner[1]


def _overlap(shape, corner, size) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices of the frame and of the patch where they meet."""
    frame, patch = [], []
    for start, side in zip(corner, shape, strict=False):
        low, high = max(0, start), min(size, start + side)
        frame.append(slice(low, high))
        patch.append(slice(low - start, high - start))
    return tuple(frame), tuple(patch)


def _visible(patches, corners, size) -> np.ndarray:
    """Visible pixels of each patch: bool of shape (N, size, size)."""
    masks = np.zeros((len(patches), size, size), bool)
    for i, (patch, corner) in enumerate(zip(patches, corners, strict=True)):
        frame, inside = _overlap(patch.image.shape, corner, size)
        part = patch.mask[inside]
        masks[(slice(0, i), *frame)] &= ~part
        masks[(i, *frame)] = part
    return masks


def _paste(canvas, image, corner) -> None:
    """Lays a patch over the canvas, in place."""
    frame, inside = _overlap(image.shape, corner, len(canvas))
    part = image[inside]
    canvas[frame] = part[..., :3] + canvas[frame] * (1 - part[..., 3:] / 255)


def _background(backgrounds, size, rng) -> np.ndarray:
    """Random crop of a random photograph, mirrored, recoloured, maybe blurred."""
    photo = backgrounds[rng.integers(len(backgrounds))]
    height, width = photo.shape[:2]
    side = round(min(height, width) * rng.uniform(0.4, 1))
    top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
    crop = photo[top : top + side, left : left + side]
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    way = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    crop = _jitter(cv2.resize(crop, (size, size), interpolation=way), rng, 0.25)
    if rng.random() < 0.4:
        crop = cv2.GaussianBlur(crop, (0, 0), rng.uniform(0.5, 2) * size / 224)
    return crop


def _jitter(image, rng, strength) -> np.ndarray:
    """Changes brightness, contrast, saturation and white balance a little.

    ``strength`` is the largest relative change. Returns float32 (H, W, 3), 0 to 255.
    """
    gain, contrast, saturation = 1 + strength * rng.uniform(-1, 1, 3)
    balance = 1 + strength / 4 * rng.uniform(-1, 1, 3)
    image = image.astype(np.float32)
    grey = image @ np.float32([0.114, 0.587, 0.299])
    image = grey[..., None] + (image - grey[..., None]) * np.float32(saturation)
    image = (image - 128) * np.float32(contrast) + 128
    return np.clip(image * (gain * balance).astype(np.float32), 0, 255)


def _camera(canvas, rng) -> np.ndarray:
    """One light, one lens and one sensor for background and objects alike."""
    tint = rng.uniform(0.9, 1.1) * rng.uniform(0.95, 1.05, 3)
    canvas = canvas * tint.astype(np.float32)
    canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.3, 0.7))
    canvas += rng.standard_normal(canvas.shape, np.float32) * np.float32(
        rng.uniform(0.5, 4)
    )
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8)
