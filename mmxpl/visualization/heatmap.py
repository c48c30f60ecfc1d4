"""Heat maps: probabilities in colour, laid over a frame."""

from functools import lru_cache

import cv2
import numpy as np
import torch.nn.functional as F
from torch import Tensor

# perceptually uniform: equal steps of probability look equally far apart, and
# lightness grows with probability, so the map reads in greyscale too
COLOUR_MAP = cv2.COLORMAP_INFERNO
CONTOUR_LEVEL = 0.5
LINE_WIDTH = 1.5  # pixels


def upsample_map(prob: Tensor, size: tuple[int, int]) -> np.ndarray:
    """Resizes one map to the size of a picture.

    Bilinear with aligned corners, as in the evaluation: the corner cells lie on
    the corners of the picture.

    Args:
        prob (Tensor): Map of shape (h, w) or (1, h, w), in [0, 1].
        size (tuple[int, int]): Height and width wanted, in pixels.

    Returns:
        np.ndarray: float32 of shape ``size``, clipped to [0, 1].

    Raises:
        ValueError: If ``prob`` is not one map.
    """
    if prob.dim() not in (2, 3) or (prob.dim() == 3 and len(prob) != 1):
        raise ValueError(
            'a map must have the shape (h, w) or (1, h, w), '
            f'but this one has {tuple(prob.shape)}'
        )
    prob = prob.detach().float().cpu().reshape(1, 1, *prob.shape[-2:])
    prob = F.interpolate(prob, size, mode='bilinear', align_corners=True)
    return prob[0, 0].clamp(0, 1).numpy()


@lru_cache
def colour_table() -> np.ndarray:
    """Returns the RGB colours of 256 equal steps of probability, (256, 3) uint8."""
    steps = np.arange(256, dtype=np.uint8)[:, None]
    return cv2.applyColorMap(steps, COLOUR_MAP)[:, 0, ::-1].copy()


def colour_map(prob: np.ndarray) -> np.ndarray:
    """Colours probabilities on a scale that is fixed to 0 ... 1.

    The same colour means the same probability in every picture.

    Args:
        prob (np.ndarray): Probabilities of shape (H, W) in [0, 1].

    Returns:
        np.ndarray: RGB uint8 of shape (H, W, 3).
    """
    return colour_table()[np.rint(prob * 255).astype(np.uint8)]


def overlay_heatmap(
    image: np.ndarray, prob: Tensor, opacity: float = 0.7
) -> np.ndarray:
    """Lays a map over its frame.

    The frame is reduced to a dim greyscale picture, so that hue and most of the
    brightness come from the probability. A white line marks a probability of 0.5.

    Args:
        image (np.ndarray): Frame, RGB uint8 of shape (H, W, 3).
        prob (Tensor): Map of shape (h, w) or (1, h, w) in [0, 1].
        opacity (float): Weight of the map's colours in [0, 1].

    Returns:
        np.ndarray: RGB uint8 of shape (H, W, 3).
    """
    prob = upsample_map(prob, image.shape[:2])
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    picture = cv2.addWeighted(colour_map(prob), opacity, grey, 1 - opacity, 0)
    return draw_level(picture, prob, CONTOUR_LEVEL)


def draw_level(picture: np.ndarray, values: np.ndarray, level: float) -> np.ndarray:
    """Draws the line along which a map has one value, in white.

    The distance of a pixel from the line is, to first order, the difference in
    value over the slope; pixels fade out over the last pixel of that distance.

    Args:
        picture (np.ndarray): RGB uint8 of shape (H, W, 3); not changed.
        values (np.ndarray): The map, float of shape (H, W).
        level (float): The value.

    Returns:
        np.ndarray: A new picture.
    """
    slope = np.hypot(*np.gradient(values))
    height = np.abs(values - level)
    reach = (LINE_WIDTH + 1) / 2
    # a plateau has no line, whatever its value
    near = (height < reach * slope) & (slope > 1e-5)
    cover = np.minimum(reach - height[near] / slope[near], 1)[:, None]
    picture = picture.copy()
    picture[near] = np.rint(picture[near] * (1 - cover) + 255 * cover)
    return picture
