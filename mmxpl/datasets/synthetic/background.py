"""Cluttered backgrounds."""

from __future__ import annotations

import math

import cv2
import numpy as np

from .classes import TEXTURES
from .textures import pattern, smooth_noise, to_bgr


def _random_colour(rng) -> np.ndarray:
    return to_bgr(
        rng.uniform(0, 360), rng.beta(1.3, 2.2), float(rng.uniform(0.15, 0.9))
    )


def paint_background(
    rng: np.random.Generator, size: int, clutter: float = 1.0
) -> np.ndarray:
    """Paint a gradient, one texture, blobs and small distractors.

    Args:
        rng (np.random.Generator): Source of randomness.
        size (int): Side of the frame in pixels.
        clutter (float): Contrast of the texture and number of distractors; 0
            leaves a soft gradient. Defaults to 1.

    Returns:
        np.ndarray: float32 of shape (size, size, 3), B, G, R in about [0, 1].
    """
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    angle = rng.uniform(0, 2 * math.pi)
    c, s = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    u, v = c * axis + s * axis[:, None], -s * axis + c * axis[:, None]
    first, second, third = (_random_colour(rng) for _ in range(3))
    ramp = np.clip(0.5 + 0.4 * u + 0.35 * smooth_noise(rng, size, 3, 3), 0, 1)
    frame = first + (second - first) * ramp[..., None]
    if rng.random() < 0.75:
        scale = np.float32(rng.uniform(1.0, 3.5))
        kind = TEXTURES[int(rng.integers(1, len(TEXTURES)))]
        strength = clutter * rng.uniform(0.15, 0.6)
        overlay = pattern(kind, u * scale, v * scale, rng)[..., None]
        frame += (third - frame) * overlay * strength
    if rng.random() < 0.4:
        horizon = v > rng.uniform(-0.4, 0.4) + 0.1 * smooth_noise(rng, size, 4)
        frame += (third - frame) * (0.7 * min(clutter, 1)) * horizon[..., None]
    for _ in range(rng.poisson(14 * clutter)):
        _distractor(frame, rng, size)
    frame = cv2.GaussianBlur(frame, (0, 0), size / 128 * rng.uniform(0.4, 1.1))
    grain = smooth_noise(rng, size, max(4, size // 4), 2)[..., None]
    return frame * (1 + 0.1 * clutter * grain)


def _distractor(frame: np.ndarray, rng, size: int) -> None:
    """Draw something small that is none of the classes, in place."""
    corners = int(rng.integers(3, 8))
    angles = np.sort(rng.uniform(0, 2 * math.pi, corners))
    radius = size * rng.uniform(0.02, 0.12) * rng.uniform(0.5, 1.0, corners)
    centre = rng.uniform(0, size, 2)
    points = centre + radius[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
    colour = _random_colour(rng).tolist()
    polygon = np.round(points * 16).astype(np.int32)
    if rng.random() < 0.3:
        cv2.polylines(frame, [polygon], False, colour, 1, cv2.LINE_8, 4)
    else:
        cv2.fillPoly(frame, [polygon], colour, cv2.LINE_8, 4)
