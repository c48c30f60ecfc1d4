"""Layout of a frame: objects, their silhouettes, places and sizes, and which sound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from .config import CLASSES, WorldConfig

_POINTS = 72


def _polar(radius) -> np.ndarray:
    angle = np.arange(_POINTS) * (2 * math.pi / _POINTS)
    r = radius(angle)
    return np.stack([r * np.cos(angle), r * np.sin(angle)], 1)


def _dense(corners, step: float = 0.12) -> np.ndarray:
    """Adds points along the edges of a polygon, so that they can be bent."""
    corners = np.asarray(corners, float)
    parts = []
    for start, end in zip(corners, np.roll(corners, -1, 0), strict=True):
        count = max(2, int(np.hypot(*(end - start)) / step))
        parts.append(start + (end - start) * (np.arange(count) / count)[:, None])
    return np.concatenate(parts)


def _rounded(power: float) -> list[np.ndarray]:
    """Superellipse: power 2 is a circle, higher ones are squarer."""

    def radius(angle):
        total = np.abs(np.cos(angle)) ** power + np.abs(np.sin(angle)) ** power
        return total ** (-1 / power)

    return [_polar(radius)]


def _cone(rng) -> list[np.ndarray]:
    tip, cut = rng.uniform(-0.25, 0.25), rng.uniform(0.04, 0.16)
    return [_dense([(tip - cut, -1), (tip + cut, -1), (1, 0.9), (-1, 0.9)])]


def _star(rng) -> list[np.ndarray]:
    inner, phase = rng.uniform(0.45, 0.6), rng.uniform(0, 2 * math.pi)
    angle = np.arange(10) * (math.pi / 5) + phase
    radius = np.where(np.arange(10) % 2, inner, 1.0)
    return [_dense(np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1))]


def _ring(rng) -> list[np.ndarray]:
    hole, shift = rng.uniform(0.38, 0.55), rng.uniform(-0.08, 0.08, 2)
    outer = _polar(np.ones_like)
    return [outer, outer * hole + shift]


def _cross(rng) -> list[np.ndarray]:
    w, h = rng.uniform(0.3, 0.46, 2)
    right = [(w, -1), (w, -h), (1, -h), (1, h), (w, h), (w, 1)]
    left = [(-w, 1), (-w, h), (-1, h), (-1, -h), (-w, -h), (-w, -1)]
    return [_dense(right + left)]


def _flower(rng) -> list[np.ndarray]:
    depth, phase = rng.uniform(0.17, 0.26), rng.uniform(0, 2 * math.pi)
    petals = int(rng.integers(5, 8))
    return [_polar(lambda a: 1 - depth + depth * np.cos(petals * a + phase))]


def _moon(rng) -> list[np.ndarray]:
    bite, half = rng.uniform(0.45, 0.62), rng.uniform(2.1, 2.35)
    outer = np.linspace(-half, half, 48)
    tip = np.array([math.cos(half), math.sin(half)])
    centre = np.array([-bite, 0.0])
    radius = float(np.hypot(*(tip - centre)))
    reach = math.atan2(tip[1], tip[0] - centre[0])
    inner = np.linspace(reach, -reach, 36)
    arc = np.stack([np.cos(outer), np.sin(outer)], 1)
    bitten = centre + radius * np.stack([np.cos(inner), np.sin(inner)], 1)
    return [np.concatenate([arc, bitten])]


_FAMILIES = dict(
    disc=lambda rng: _rounded(rng.uniform(1.8, 2.3)),
    brick=lambda rng: _rounded(rng.uniform(5, 9)),
    cone=_cone,
    star=_star,
    ring=_ring,
    cross=_cross,
    flower=_flower,
    moon=_moon,
)


def make_contours(
    family: str, rng: np.random.Generator, jitter: float = 1.0
) -> tuple[list[np.ndarray], float]:
    """Draws a random silhouette of a family: bent, turned, and fitted to a unit box.

    ``jitter`` is the strength of turning and bending.

    Returns:
        tuple[list[np.ndarray], float]: Contours of shape (K, 2) as (x, y) in
        [0, 1], the first touching all four sides, the others being holes; and the
        angle by which the silhouette is turned, in radians.
    """
    contours = _FAMILIES[family](rng)
    angle = jitter * rng.uniform(-0.6, 0.6)
    amplitude = jitter * rng.uniform(0.0, 0.09, 2)
    wave = rng.uniform(1.2, 2.6, 2)
    phase = rng.uniform(0, 2 * math.pi, 2)
    shear = jitter * rng.uniform(-0.2, 0.2)
    c, s = math.cos(angle), math.sin(angle)
    turn = np.array([[c, -s], [s, c]])
    bent = []
    for points in contours:
        x, y = points[:, 0], points[:, 1]
        x, y = (
            x + shear * y + amplitude[0] * np.sin(wave[0] * y + phase[0]),
            y + amplitude[1] * np.sin(wave[1] * x + phase[1]),
        )
        bent.append(np.stack([x, y], 1) @ turn.T)
    low, high = bent[0].min(0), bent[0].max(0)
    return [(points - low) / (high - low) for points in bent], angle


def rasterise(
    contours: Sequence[np.ndarray], box: np.ndarray, size: int, smooth: bool = False
) -> np.ndarray:
    """Fills contours on a square grid, 0 outside and 255 inside.

    ``box`` is x1, y1, x2, y2 of the unit box in shares of the frame; ``smooth`` says
    whether edges are antialiased.
    """
    canvas = np.zeros((size, size), np.uint8)
    origin, extent = box[:2] * size, (box[2:] - box[:2]) * size
    # fillPoly counts pixel centres, hence the half; 4 bits of sub-pixel shift.
    polygons = [
        np.round((points * extent + origin - 0.5) * 16).astype(np.int32)
        for points in contours
    ]
    cv2.fillPoly(canvas, polygons, 255, cv2.LINE_AA if smooth else cv2.LINE_8, 4)
    return canvas


#: Smallest visible share of any object's silhouette.
MIN_VISIBLE = 0.72

#: Grid on which layouts are tried.
_GRID = 56

#: Quantiles (0, 0.1 … 1) of the typical share of the frame of one object's box,
#: by the number of objects. Chosen such that the ground truth of the finished
#: layouts, after those that do not fit were drawn again, is spread like that of
#: VGG-SS (mean 0.31, median 0.25 of the frame).
_SIZE_QUANTILES = {
    2: (0.01, 0.04, 0.08, 0.13, 0.18, 0.25, 0.35, 0.47, 0.58, 0.7, 0.85),
    3: (0.01, 0.035, 0.07, 0.11, 0.16, 0.22, 0.29, 0.37, 0.43, 0.5, 0.6),
    4: (0.01, 0.04, 0.075, 0.11, 0.15, 0.19, 0.24, 0.29, 0.34, 0.4, 0.45),
}

#: Spread of the sizes within a frame, in natural-log units of area. Small: where
#: sizes differ much, the size of the ground truth, which the adaptive rule gives
#: away, tells the sounding object without listening.
_SIZE_SPREAD = 0.22

#: Share of the frames in which one object takes this much, whatever the others
#: take: the largest boxes of VGG-SS leave no room for a second one of their size.
_DOMINATED = 0.32
_DOMINANT_SHARES = (0.5, 0.95)


@dataclass(frozen=True)
class PlacedObject:
    """Object of a layout."""

    category: int  # index into CLASSES
    contours: tuple[np.ndarray, ...]  # silhouette in its unit box
    angle: float  # by which it is turned, in radians
    box: np.ndarray  # x1, y1, x2, y2 in shares of the frame, before occlusion
    sounding: bool = False  # whether its sound is heard


@dataclass(frozen=True)
class Layout:
    """Frame before it is painted."""

    objects: tuple[PlacedObject, ...]  # from back to front
    offscreen: int | None = None  # class that sounds outside the frame


def visible_masks(objects, size: int) -> np.ndarray:
    """Finds the pixels of each object that no object in front of it hides.

    ``objects`` are from back to front; the masks are bool of shape (N, size, size).
    """
    full = np.stack([rasterise(o.contours, o.box, size) > 0 for o in objects])
    covered = np.logical_or.accumulate(full[::-1])[::-1]
    visible = full.copy()
    visible[:-1] &= ~covered[1:]
    return visible


def sample_layout(
    config: WorldConfig, rng: np.random.Generator, offscreen: bool = False
) -> Layout:
    """Draws two to four objects of different classes, at least one of them silent.

    The sounding objects are chosen after everything is placed, so that nothing in the
    image reveals them. With ``offscreen`` nothing in the frame sounds, but a class that
    is not in it.
    """
    chances = np.asarray(config.objects) / sum(config.objects)
    count = int(rng.choice([2, 3, 4], p=chances))
    categories = _sample_categories(count, config.lookalikes, rng)
    objects = _place_all(categories, config.jitter, rng)
    if offscreen:
        absent = sorted(set(range(len(CLASSES))) - set(categories))
        return Layout(tuple(objects), int(rng.choice(absent)))
    two = count > 2 and rng.random() < config.two_sounding
    for i in rng.permutation(count)[: 1 + two]:
        objects[i] = replace(objects[i], sounding=True)
    return Layout(tuple(objects))


def _sample_categories(count: int, lookalikes: float, rng) -> list[int]:
    """Draws different classes; with chance ``lookalikes`` two share a shape."""
    categories = rng.permutation(len(CLASSES))[:count].tolist()
    if rng.random() < lookalikes:
        same = [
            i
            for i, c in enumerate(CLASSES)
            if c.shape == CLASSES[categories[0]].shape and i not in categories
        ]
        if same:
            categories[1] = int(rng.choice(same))
    return [int(c) for c in rng.permutation(categories)]


def _sample_box(share: float, rng) -> np.ndarray:
    """Draws a box of a given area inside the frame: x1, y1, x2, y2."""
    # Taller than wide a little more often than not, as in VGG-SS, and never
    # beyond the frame.
    bound = -math.log(share)
    ratio = math.exp(min(max(rng.normal(-0.1, 0.35), -bound), bound))
    extent = np.array([math.sqrt(share * ratio), math.sqrt(share / ratio)])
    # Rather towards the sides than in the middle: more objects fit.
    corner = rng.beta(0.8, 0.8, 2) * (1 - extent)
    return np.concatenate([corner, corner + extent])


def _place_all(categories: list[int], jitter: float, rng) -> list[PlacedObject]:
    """Places objects, with smaller and smaller sizes until they fit."""
    count = len(categories)
    quantiles = _SIZE_QUANTILES[count]
    grid = np.linspace(0, 1, len(quantiles))
    typical = float(np.interp(rng.random(), grid, quantiles))
    dominant = rng.uniform(*_DOMINANT_SHARES) if rng.random() < _DOMINATED else 0.0
    while True:
        shares = typical * np.exp(_SIZE_SPREAD * rng.standard_normal(count))
        shares[0] = max(shares[0], dominant)
        shares = np.sort(np.minimum(shares, 0.98))[::-1]
        objects = _place(categories, shares, jitter, rng)
        if objects is not None:
            return objects
        typical *= 0.98


def _place(
    categories: list[int], shares: np.ndarray, jitter: float, rng
) -> list[PlacedObject] | None:
    """Places objects of given sizes one by one; None if they do not fit."""
    objects: list[PlacedObject] = []
    masks: list[int] = []
    for category, share in zip(categories, shares, strict=True):
        contours, angle = make_contours(CLASSES[category].shape, rng, jitter)
        for _ in range(12):
            box = _sample_box(share, rng)
            bits = np.packbits(rasterise(contours, box, _GRID) > 0)
            mask = int.from_bytes(bits.tobytes(), 'big')
            behind = rng.random() < 0.5
            trial = [mask, *masks] if behind else [*masks, mask]
            if _visible_share(trial) >= MIN_VISIBLE:
                placed = PlacedObject(category, tuple(contours), angle, box)
                objects = [placed, *objects] if behind else [*objects, placed]
                masks = trial
                break
        else:
            return None
    return objects


def _visible_share(masks: list[int]) -> float:
    """Computes the smallest visible share of masks, whose bits are pixels.

    They are ordered from back to front. Integers are several times as fast as arrays.
    """
    share, covered = 1.0, 0
    for mask in reversed(masks):
        visible = (mask & ~covered).bit_count()
        share = min(share, visible / max(mask.bit_count(), 1))
        covered |= mask
    return share
