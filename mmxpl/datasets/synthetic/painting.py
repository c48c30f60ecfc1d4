"""From a layout to an image."""

from __future__ import annotations

import math

import cv2
import numpy as np

from .background import paint_background
from .classes import CLASSES, COLOURS
from .config import WorldConfig
from .layout import Layout, PlacedObject
from .shapes import rasterise
from .textures import pattern, smooth_noise, to_bgr


def paint(layout: Layout, config: WorldConfig, rng: np.random.Generator) -> np.ndarray:
    """Paint a frame: background, objects with light and shadow, camera.

    Which object sounds plays no part here.

    Args:
        layout (Layout): What to paint.
        config (WorldConfig): Size, clutter and jitter are read.
        rng (np.random.Generator): Source of randomness.

    Returns:
        np.ndarray: uint8 of shape (size, size, 3), B, G, R.
    """
    size = config.size
    frame = paint_background(rng, size, config.clutter)
    azimuth, height = rng.uniform(0, 2 * math.pi), rng.uniform(0.45, 0.9)
    reach = math.sqrt(1 - height**2)
    light = np.array(
        [reach * math.cos(azimuth), reach * math.sin(azimuth), height], np.float32
    )
    # Bumps and grain of all surfaces; objects are windows into them.
    surface = np.stack([smooth_noise(rng, size, 7), smooth_noise(rng, size, size // 3)])
    for placed in layout.objects:
        _paint_object(frame, placed, light, surface, config.jitter, rng)
    return _expose(frame, rng)


def _class_colours(category: int, jitter: float, rng) -> tuple[np.ndarray, np.ndarray]:
    """Base and second colour of one object."""
    hue, saturation, value = COLOURS[CLASSES[category].colour]
    hue += jitter * rng.normal(0, 9)
    saturation += jitter * rng.normal(0, 0.09)
    value += jitter * rng.normal(0, 0.09)
    base = to_bgr(hue, saturation, value)
    # The second colour is lighter or darker, and drifts in hue: no class is told
    # by it alone.
    if rng.random() < 0.5:
        second = to_bgr(hue + rng.normal(0, 25), saturation * 0.3, value + 0.2)
    else:
        second = to_bgr(hue + rng.normal(0, 25), saturation, value * 0.35)
    return base, second


def _paint_object(
    frame: np.ndarray,
    placed: PlacedObject,
    light: np.ndarray,
    surface: np.ndarray,
    jitter: float,
    rng: np.random.Generator,
) -> None:
    """Blend one object and its shadow into the frame, in place."""
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
    mix = pattern(texture, c * x + s * y, -s * x + c * y, rng, jitter)[..., None]
    base, second = _class_colours(placed.category, jitter, rng)
    colour = base + (second - base) * mix

    # A cushion-like surface: steep at the rim, flat in the middle.
    depth = cv2.distanceTransform((alpha > 127).astype(np.uint8), cv2.DIST_L2, 3)
    rim = max(2.0, rng.uniform(0.12, 0.3) * extent)
    relief = np.sqrt(np.minimum(depth / rim, 1)) * rim + 0.05 * extent * bumps
    relief = relief.astype(np.float32)
    relief = cv2.GaussianBlur(relief, (0, 0), max(1.0, 0.03 * extent))
    slope_x = cv2.Sobel(relief, cv2.CV_32F, 1, 0, scale=0.125)
    slope_y = cv2.Sobel(relief, cv2.CV_32F, 0, 1, scale=0.125)
    lit = (light[2] - light[0] * slope_x - light[1] * slope_y) / np.sqrt(
        1 + slope_x**2 + slope_y**2
    )
    lit = np.maximum(lit, 0)
    diffuse = rng.uniform(0.45, 0.75)
    gloss = rng.uniform(0, 0.5) * lit**24
    shade = 1.12 * (1 - diffuse + diffuse * lit) * (1 + 0.05 * grain)
    painted = colour * shade[..., None] + gloss[..., None]
    window += (painted - window) * (alpha[..., None] * np.float32(1 / 255))


def _expose(frame: np.ndarray, rng) -> np.ndarray:
    """White balance, exposure, contrast, blur and noise of a camera."""
    cast = rng.normal(1, 0.05, 3).astype(np.float32)
    frame = frame * (cast * np.float32(rng.uniform(0.8, 1.15)))
    frame = np.clip(frame, 0, 1) ** np.float32(rng.uniform(0.8, 1.25))
    if rng.random() < 0.5:
        frame = cv2.GaussianBlur(
            frame, (0, 0), len(frame) / 128 * rng.uniform(0.3, 0.9)
        )
    noise = rng.standard_normal(frame.shape, np.float32)
    frame = frame + noise * np.float32(rng.uniform(0.005, 0.03))
    return np.round(np.clip(frame, 0, 1) * 255).astype(np.uint8)
