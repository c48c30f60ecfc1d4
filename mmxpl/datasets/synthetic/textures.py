"""Patterns on objects and backgrounds, and their colours."""

from __future__ import annotations

import math

import cv2
import numpy as np


def smooth_noise(
    rng: np.random.Generator, size: int, cells: int, octaves: int = 1
) -> np.ndarray:
    """Random field without sharp edges.

    Args:
        rng (np.random.Generator): Source of randomness.
        size (int): Side of the field in pixels.
        cells (int): Bumps along a side in the coarsest octave.
        octaves (int): Each adds bumps of half the size and half the height.
            Defaults to 1.

    Returns:
        np.ndarray: float32 of shape (size, size), about [-1, 1].
    """
    field = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        side = min(size, cells * 2**octave + 1)
        coarse = rng.uniform(-1, 1, (side, side)).astype(np.float32)
        field += cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC) * (
            0.5**octave
        )
    return field


def _wave(phase: np.ndarray) -> np.ndarray:
    """Soft square wave of period 1, in [0, 1]."""
    return np.clip(0.5 + 1.6 * np.sin(2 * math.pi * phase), 0, 1)


def pattern(
    texture: str,
    u: np.ndarray,
    v: np.ndarray,
    rng: np.random.Generator,
    jitter: float = 1.0,
) -> np.ndarray:
    """How much of the second colour shows at each point.

    Args:
        texture (str): One of :data:`.classes.TEXTURES`.
        u (np.ndarray): Coordinate across the object, -1 to 1 at its sides.
        v (np.ndarray): Coordinate along the object, of the shape of ``u``.
        rng (np.random.Generator): Source of phase, frequency and warp.
        jitter (float): Strength of the variety. Defaults to 1.

    Returns:
        np.ndarray: float32 in [0, 1], of the shape of ``u``.
    """
    frequency = math.exp(jitter * rng.normal(0, 0.22))
    a, b = rng.random(2)
    bend = jitter * rng.uniform(0.0, 0.12)
    warp = bend * np.sin(3.0 * v + 6.3 * a)
    if texture == 'striped':
        t = _wave(2.2 * frequency * (u + warp) + a)
    elif texture == 'ribbed':
        t = _wave(2.0 * frequency * np.sqrt((u + warp) ** 2 + v**2) + a)
    elif texture == 'checked':
        t = 0.5 - 2.2 * (
            np.sin(math.pi * (2.4 * frequency * (u + warp) + 2 * a))
            * np.sin(math.pi * (2.4 * frequency * v + 2 * b))
        )
    elif texture == 'dotted':
        x = (2.3 * frequency * (u + warp) + a) % 1 - 0.5
        y = (2.3 * frequency * v + b) % 1 - 0.5
        radius = rng.uniform(0.25, 0.34)
        t = (radius - np.sqrt(x**2 + y**2)) * 9 + 0.5
    elif texture == 'marbled':
        twist = np.sin(2.7 * frequency * v + 6.3 * a) + 0.6 * np.sin(5.1 * u + 6.3 * b)
        t = _wave(0.9 * frequency * (u + v) + 0.45 * twist + a)
    elif texture == 'plain':
        t = 0.08 + 0.08 * np.sin(2.0 * (u + warp) + 6.3 * a)
    else:
        raise ValueError(f'unknown texture {texture!r}')
    return np.clip(t, 0, 1).astype(np.float32)


def to_bgr(hue: float, saturation: float, value: float) -> np.ndarray:
    """One colour.

    Args:
        hue (float): In degrees; any number.
        saturation (float): Clipped to [0, 1].
        value (float): Clipped to [0, 1].

    Returns:
        np.ndarray: float32 B, G, R in [0, 1].
    """
    saturation, value = min(max(saturation, 0), 1), min(max(value, 0), 1)
    offsets = (np.array([1, 3, 5]) + hue / 60) % 6
    ramp = np.clip(np.minimum(offsets, 4 - offsets), 0, 1)
    return (value * (1 - saturation * ramp)).astype(np.float32)
