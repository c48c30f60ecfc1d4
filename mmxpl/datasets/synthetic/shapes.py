"""Silhouettes: closed contours of the shape families."""

from __future__ import annotations

import math

import cv2
import numpy as np

_POINTS = 72


def _polar(radius) -> np.ndarray:
    angle = np.arange(_POINTS) * (2 * math.pi / _POINTS)
    r = radius(angle)
    return np.stack([r * np.cos(angle), r * np.sin(angle)], 1)


def _dense(corners, step: float = 0.12) -> np.ndarray:
    """Points along the edges of a polygon, so that bending it bends its edges."""
    corners = np.asarray(corners, float)
    parts = []
    for start, end in zip(corners, np.roll(corners, -1, 0), strict=True):
        count = max(2, int(np.hypot(*(end - start)) / step))
        parts.append(start + (end - start) * (np.arange(count) / count)[:, None])
    return np.concatenate(parts)


def _rounded(power: float) -> list[np.ndarray]:
    """Superellipse: 2 is a circle, the more the squarer."""

    def radius(angle):
        total = np.abs(np.cos(angle)) ** power + np.abs(np.sin(angle)) ** power
        return total ** (-1 / power)

    return [_polar(radius)]


def _disc(rng) -> list[np.ndarray]:
    return _rounded(rng.uniform(1.8, 2.3))


def _brick(rng) -> list[np.ndarray]:
    return _rounded(rng.uniform(5, 9))


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
    disc=_disc,
    brick=_brick,
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
    """Draw one silhouette of a family: bent, turned, and fitted to a unit box.

    Args:
        family (str): One of :data:`.classes.SHAPES`.
        rng (np.random.Generator): Source of the within-class variety.
        jitter (float): Strength of turning and bending. Defaults to 1.

    Returns:
        tuple: contours (list[np.ndarray]), each of shape (K, 2) as (x, y) in
        [0, 1], the outer one touching all four sides, later ones being holes;
        angle (float), by which the silhouette is turned, in radians.
    """
    contours = _FAMILIES[family](rng)
    angle = jitter * rng.uniform(-0.6, 0.6)
    amplitude = jitter * rng.uniform(0.0, 0.09, 2)
    wave = rng.uniform(1.2, 2.6, 2)
    phase = rng.uniform(0, 2 * math.pi, 2)
    shear = jitter * rng.uniform(-0.2, 0.2)
    turn = np.array(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    )
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
    contours: list[np.ndarray], box: np.ndarray, size: int, smooth: bool = False
) -> np.ndarray:
    """Fill contours on a square grid.

    Args:
        contours (list[np.ndarray]): As :func:`make_contours` gives them.
        box (np.ndarray): x1, y1, x2, y2 where the unit box goes, in shares of
            the frame.
        size (int): Side of the grid in pixels.
        smooth (bool): Soft edges. Defaults to False.

    Returns:
        np.ndarray: uint8 of shape (size, size), 0 outside and 255 inside.
    """
    canvas = np.zeros((size, size), np.uint8)
    origin, extent = box[:2] * size, (box[2:] - box[:2]) * size
    # fillPoly counts pixel centres, hence the half; 4 bits of sub-pixel shift.
    polygons = [
        np.round((points * extent + origin - 0.5) * 16).astype(np.int32)
        for points in contours
    ]
    line = cv2.LINE_AA if smooth else cv2.LINE_8
    cv2.fillPoly(canvas, polygons, 255, line, 4)
    return canvas
