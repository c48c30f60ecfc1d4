"""Which objects are in a frame, where, how large, and which of them sound."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from .classes import CLASSES
from .config import WorldConfig
from .shapes import make_contours, rasterise

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
    """One object of a layout.

    Args:
        category (int): Index into :data:`.classes.CLASSES`.
        contours (tuple[np.ndarray]): Silhouette in its unit box.
        angle (float): By which it is turned, in radians.
        box (np.ndarray): x1, y1, x2, y2 in shares of the frame, before occlusion.
        sounding (bool): Whether its sound is heard.
    """

    category: int
    contours: tuple[np.ndarray, ...]
    angle: float
    box: np.ndarray
    sounding: bool = False


@dataclass(frozen=True)
class Layout:
    """One frame before it is painted.

    Args:
        objects (tuple[PlacedObject]): From back to front.
        offscreen (int | None): Class that sounds outside the frame, if any.
    """

    objects: tuple[PlacedObject, ...]
    offscreen: int | None = None


def visible_masks(objects, size: int) -> np.ndarray:
    """Pixels of each object that no object in front of it hides.

    Args:
        objects (Sequence[PlacedObject]): From back to front.
        size (int): Side of the grid in pixels.

    Returns:
        np.ndarray: bool of shape (N, size, size).
    """
    full = np.stack([rasterise(o.contours, o.box, size) > 0 for o in objects])
    return _hide(full)


def mask_box(mask: np.ndarray) -> list[float]:
    """Tight box of a mask, in shares of the frame.

    Args:
        mask (np.ndarray): bool of shape (H, W), not empty.

    Returns:
        list[float]: x1, y1, x2, y2 in [0, 1].
    """
    height, width = mask.shape
    ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = xs[0] / width, ys[0] / height, (xs[-1] + 1) / width, (ys[-1] + 1) / height
    return [round(float(v), 6) for v in box]


def sample_layout(
    config: WorldConfig, rng: np.random.Generator, offscreen: bool = False
) -> Layout:
    """Draw one layout.

    What sounds is chosen at random after everything is placed, so that nothing
    in the image tells it.

    Args:
        config (WorldConfig): Settings.
        rng (np.random.Generator): Source of all randomness.
        offscreen (bool): Nothing in the frame sounds, a class that is not in it
            does. Defaults to False.

    Returns:
        Layout: With two to four objects of different classes, at least one of
        them silent.
    """
    chances = np.asarray(config.objects) / sum(config.objects)
    count = int(rng.choice([2, 3, 4], p=chances))
    categories = _sample_categories(count, config.lookalikes, rng)
    objects = _place_all(categories, config.jitter, rng)
    if offscreen:
        absent = sorted(set(range(len(CLASSES))) - set(categories))
        return Layout(tuple(objects), int(rng.choice(absent)))
    two = count > 2 and rng.random() < config.two_sounding
    chosen = set(rng.permutation(count)[: 1 + two].tolist())
    return Layout(
        tuple(replace(o, sounding=i in chosen) for i, o in enumerate(objects))
    )


def _sample_categories(count: int, lookalikes: float, rng) -> list[int]:
    """Different classes; with chance ``lookalikes`` two share their shape."""
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


def _typical_share(count: int, rng) -> float:
    """Share of the frame that a box of this frame takes, more or less."""
    quantiles = _SIZE_QUANTILES[count]
    grid = np.linspace(0, 1, len(quantiles))
    return float(np.interp(rng.random(), grid, quantiles))


def _sample_box(share: float, rng) -> np.ndarray:
    """Box of a given area, inside the frame: x1, y1, x2, y2."""
    # Taller than wide a little more often than not, as in VGG-SS, and never
    # beyond the frame.
    bound = -math.log(share)
    ratio = math.exp(float(np.clip(rng.normal(-0.1, 0.35), -bound, bound)))
    extent = np.array([math.sqrt(share * ratio), math.sqrt(share / ratio)])
    # Rather towards the sides than in the middle: more objects fit.
    corner = rng.beta(0.8, 0.8, 2) * (1 - extent)
    return np.concatenate([corner, corner + extent])


def _place_all(categories: list[int], jitter: float, rng) -> list[PlacedObject]:
    """Place objects, and try again, smaller bit by bit, until they fit."""
    count = len(categories)
    typical = _typical_share(count, rng)
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
    """Put objects of given sizes into a frame one by one, or give up."""
    objects: list[PlacedObject] = []
    masks: list[np.ndarray] = []
    for category, share in zip(categories, shares, strict=True):
        contours, angle = make_contours(CLASSES[category].shape, rng, jitter)
        for _ in range(12):
            box = _sample_box(share, rng)
            mask = rasterise(contours, box, _GRID) > 0
            behind = rng.random() < 0.5
            trial = [mask, *masks] if behind else [*masks, mask]
            stack = np.stack(trial)
            visible = _hide(stack).sum((1, 2)) / np.maximum(stack.sum((1, 2)), 1)
            if visible.min() >= MIN_VISIBLE:
                placed = PlacedObject(category, tuple(contours), angle, box)
                objects = [placed, *objects] if behind else [*objects, placed]
                masks = trial
                break
        else:
            return None
    return objects


def _hide(full: np.ndarray) -> np.ndarray:
    visible = full.copy()
    front = np.zeros(full.shape[1:], bool)
    for i in range(len(full) - 1, -1, -1):
        visible[i] &= ~front
        front |= full[i]
    return visible
