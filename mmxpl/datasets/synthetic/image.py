"""Rendering of frames: patterns, backgrounds, lit objects and the camera."""

from __future__ import annotations

import math

import cv2
import numpy as np

from .config import CLASSES, COLOURS, TEXTURES, WorldConfig
from .layout import Layout, PlacedObject, rasterise


def _smooth_noise(rng, size: int, cells: int, octaves: int = 1) -> np.ndarray:
    """Draws a smooth random field, float32 (size, size), about [-1, 1].

    ``cells`` is the number of bumps along a side in the coarsest octave; each further
    octave adds bumps of half the size and height.
    """
    field = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        side = min(size, cells * 2**octave + 1)
        coarse = rng.uniform(-1, 1, (side, side)).astype(np.float32)
        fine = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
        field += fine * 0.5**octave
    return field


def _wave(phase: np.ndarray) -> np.ndarray:
    """Soft square wave of period 1, in [0, 1]."""
    return np.clip(0.5 + 1.6 * np.sin(2 * math.pi * phase), 0, 1)


def _pattern(
    texture: str, u: np.ndarray, v: np.ndarray, rng, jitter: float = 1.0
) -> np.ndarray:
    """Draws a texture: the share of the second colour at each point, in [0, 1].

    ``u`` runs across the object and ``v`` along it, from -1 to 1 at its sides.
    """
    frequency = math.exp(jitter * rng.normal(0, 0.22))
    a, b = rng.random(2)
    warp = jitter * rng.uniform(0.0, 0.12) * np.sin(3.0 * v + 6.3 * a)
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


def _to_bgr(hue: float, saturation: float, value: float) -> np.ndarray:
    """Converts a hue in degrees, saturation and value to float32 BGR in [0, 1]."""
    saturation, value = min(max(saturation, 0), 1), min(max(value, 0), 1)
    offsets = (np.array([1, 3, 5]) + hue / 60) % 6
    ramp = np.clip(np.minimum(offsets, 4 - offsets), 0, 1)
    return (value * (1 - saturation * ramp)).astype(np.float32)


def _random_colour(rng) -> np.ndarray:
    return _to_bgr(rng.uniform(0, 360), rng.beta(1.3, 2.2), rng.uniform(0.15, 0.9))


def _paint_background(rng, size: int, clutter: float) -> np.ndarray:
    """Paints a gradient, one texture, blobs and small distractors, BGR in about [0, 1].

    ``clutter`` is the contrast of the texture and the number of distractors.
    """
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    angle = rng.uniform(0, 2 * math.pi)
    c, s = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    u, v = c * axis + s * axis[:, None], -s * axis + c * axis[:, None]
    first, second, third = (_random_colour(rng) for _ in range(3))
    ramp = np.clip(0.5 + 0.4 * u + 0.35 * _smooth_noise(rng, size, 3, 3), 0, 1)
    frame = first + (second - first) * ramp[..., None]
    if rng.random() < 0.75:
        scale = np.float32(rng.uniform(1.0, 3.5))
        kind = TEXTURES[int(rng.integers(1, len(TEXTURES)))]
        strength = clutter * rng.uniform(0.15, 0.6)
        overlay = _pattern(kind, u * scale, v * scale, rng)[..., None]
        frame += (third - frame) * overlay * strength
    if rng.random() < 0.4:
        horizon = v > rng.uniform(-0.4, 0.4) + 0.1 * _smooth_noise(rng, size, 4)
        frame += (third - frame) * (0.7 * min(clutter, 1)) * horizon[..., None]
    for _ in range(rng.poisson(14 * clutter)):
        _distractor(frame, rng, size)
    frame = cv2.GaussianBlur(frame, (0, 0), size / 128 * rng.uniform(0.4, 1.1))
    grain = _smooth_noise(rng, size, max(4, size // 4), 2)[..., None]
    return frame * (1 + 0.1 * clutter * grain)


def _distractor(frame: np.ndarray, rng, size: int) -> None:
    """Draws a small shape of no class, in place."""
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


def paint(layout: Layout, config: WorldConfig, rng: np.random.Generator) -> np.ndarray:
    """Paints a frame: background, objects with light and shadow, camera.

    It is uint8 of shape (size, size, 3), B, G, R, and does not depend on which object
    sounds.
    """
    size = config.size
    frame = _paint_background(rng, size, config.clutter)
    azimuth, height = rng.uniform(0, 2 * math.pi), rng.uniform(0.45, 0.9)
    reach = math.sqrt(1 - height**2)
    light = np.float32([reach * math.cos(azimuth), reach * math.sin(azimuth), height])
    # Bumps and grain of all surfaces; objects are windows into them.
    surface = np.stack([_smooth_noise(rng, size, cells) for cells in (7, size // 3)])
    for placed in layout.objects:
        _paint_object(frame, placed, light, surface, config.jitter, rng)
    return _expose(frame, rng)


def _class_colours(category: int, jitter: float, rng) -> tuple[np.ndarray, np.ndarray]:
    """Draws base and second colour of an object."""
    hue, saturation, value = COLOURS[CLASSES[category].colour]
    hue += jitter * rng.normal(0, 9)
    saturation += jitter * rng.normal(0, 0.09)
    value += jitter * rng.normal(0, 0.09)
    base = _to_bgr(hue, saturation, value)
    # The second colour is lighter or darker, and drifts in hue: no class is told
    # by it alone.
    if rng.random() < 0.5:
        second = _to_bgr(hue + rng.normal(0, 25), saturation * 0.3, value + 0.2)
    else:
        second = _to_bgr(hue + rng.normal(0, 25), saturation, value * 0.35)
    return base, second


def _paint_object(
    frame: np.ndarray, placed: PlacedObject, light, surface, jitter: float, rng
) -> None:
    """Blends one object and its shadow into the frame, in place."""
    size = len(frame)
    alpha = rasterise(placed.contours, placed.box, size, smooth=True)
    width, height = placed.box[2:] - placed.box[:2]
    extent = math.sqrt(width * height) * size
    left, top, right, bottom = placed.box * size
    margin = 0.12 * extent + 2
    rows = slice(max(0, int(top - margin)), int(bottom + margin) + 1)
    cols = slice(max(0, int(left - margin)), int(right + margin) + 1)
    window, alpha = frame[rows, cols], alpha[rows, cols]
    bumps, grain = surface[:, rows, cols]

    # Cast shadow, away from the light.
    drift = -0.06 * extent * light[:2]
    shift = np.float32([[1, 0, drift[0]], [0, 1, drift[1]]])
    shadow = cv2.warpAffine(alpha, shift, alpha.shape[::-1])
    shadow = cv2.blur(shadow, (2 * int(extent * 0.04) + 1,) * 2)
    window *= 1 - shadow[..., None] * np.float32(rng.uniform(0.2, 0.55) / 255)

    # The texture turns with the object.
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size
    x = (axis[cols] - np.float32(placed.box[0])) * np.float32(2 / width) - 1
    y = (axis[rows, None] - np.float32(placed.box[1])) * np.float32(2 / height) - 1
    c, s = np.float32(math.cos(placed.angle)), np.float32(math.sin(placed.angle))
    texture = CLASSES[placed.category].texture
    mix = _pattern(texture, c * x + s * y, -s * x + c * y, rng, jitter)[..., None]
    base, second = _class_colours(placed.category, jitter, rng)
    colour = base + (second - base) * mix

    # A cushion-like surface: steep at the rim, flat in the middle.
    depth = cv2.distanceTransform((alpha > 127).astype(np.uint8), cv2.DIST_L2, 3)
    rim = max(2.0, rng.uniform(0.12, 0.3) * extent)
    relief = np.sqrt(np.minimum(depth / rim, 1)) * rim + 0.05 * extent * bumps
    relief = cv2.GaussianBlur(np.float32(relief), (0, 0), max(1.0, 0.03 * extent))
    slope_x = cv2.Sobel(relief, cv2.CV_32F, 1, 0, scale=0.125)
    slope_y = cv2.Sobel(relief, cv2.CV_32F, 0, 1, scale=0.125)
    steepness = np.sqrt(1 + slope_x**2 + slope_y**2)
    lit = (light[2] - light[0] * slope_x - light[1] * slope_y) / steepness
    lit = np.maximum(lit, 0)
    diffuse = rng.uniform(0.45, 0.75)
    gloss = rng.uniform(0, 0.5) * lit**24
    shade = 1.12 * (1 - diffuse + diffuse * lit) * (1 + 0.05 * grain)
    painted = colour * shade[..., None] + gloss[..., None]
    window += (painted - window) * (alpha[..., None] * np.float32(1 / 255))


def _expose(frame: np.ndarray, rng) -> np.ndarray:
    """Applies white balance, exposure, contrast, blur and noise of a camera."""
    cast = rng.normal(1, 0.05, 3).astype(np.float32)
    frame = frame * (cast * np.float32(rng.uniform(0.8, 1.15)))
    frame = np.clip(frame, 0, 1) ** np.float32(rng.uniform(0.8, 1.25))
    if rng.random() < 0.5:
        spread = len(frame) / 128 * rng.uniform(0.3, 0.9)
        frame = cv2.GaussianBlur(frame, (0, 0), spread)
    noise = rng.standard_normal(frame.shape, np.float32)
    frame = frame + noise * np.float32(rng.uniform(0.005, 0.03))
    return np.round(np.clip(frame, 0, 1) * 255).astype(np.uint8)
