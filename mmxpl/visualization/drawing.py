"""Drawing: heat maps, boxes, panels with titles, sheets of panels, and their files.

Pictures are RGB uint8 of shape (H, W, 3); functions return new ones. A file that is no
image is a DataError.
"""

import os
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch.nn.functional as F
from mmengine.fileio import put
from torch import Tensor

from mmxpl.datasets.image_io import decode_frame, read_frame
from mmxpl.structures import AVDataSample
from mmxpl.utils.files import write_result

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

# perceptually uniform: equal steps of probability look equally far apart, and
# lightness grows with probability, so the map reads in greyscale too
COLOUR_MAP = cv2.COLORMAP_INFERNO
CONTOUR_LEVEL = 0.5
LINE_WIDTH = 1.5  # pixels

PAPER = (255, 255, 255)
MIN_SIDE, MAX_SIDE = 224, 512  # of a drawn frame, in pixels; the maximum wins
INK = (24, 24, 27)
FAINT_INK = (98, 98, 106)
BOX_COLOUR = (0, 229, 255)  # cyan: occurs neither in the colour map nor often in photos


def upsample_map(prob: Tensor, size: tuple[int, int]) -> np.ndarray:
    """Resizes one map, (h, w) or (1, h, w) in [0, 1], to the size (H, W) of a picture.

    Bilinear with aligned corners, as in the evaluation: the corner cells lie on the
    corners of the picture.

    Returns:
        np.ndarray: float32 of shape ``size``, clipped to [0, 1].
    """
    if prob.dim() not in (2, 3) or (prob.dim() == 3 and len(prob) != 1):
        raise ValueError(
            'a map must have the shape (h, w) or (1, h, w), '
            f'but this one has {tuple(prob.shape)}'
        )
    prob = prob.detach().float().cpu().reshape(1, 1, *prob.shape[-2:])
    prob = F.interpolate(prob, size, mode='bilinear', align_corners=True)
    return prob[0, 0].clamp(0, 1).numpy()


def colour_map(prob: np.ndarray) -> np.ndarray:
    """Colours probabilities (H, W) in [0, 1] on a fixed scale.

    The same colour means the same probability in every picture.
    """
    steps = np.rint(prob * 255).astype(np.uint8)
    return cv2.LUT(cv2.cvtColor(steps, cv2.COLOR_GRAY2RGB), _colours())


@lru_cache
def _colours() -> np.ndarray:
    """Returns the colours of 256 steps; a table is faster than applyColorMap."""
    steps = np.arange(256, dtype=np.uint8)[:, None]
    return cv2.cvtColor(cv2.applyColorMap(steps, COLOUR_MAP), cv2.COLOR_BGR2RGB)


class HeatLayer:
    """A map as it is laid over frames of one size.

    A frame is reduced to a dim greyscale picture, so that hue and most of the
    brightness come from the probability. A white line marks a probability of 0.5.

    Args:
        prob (np.ndarray): Map (H, W) in [0, 1] of the frames' size.
        opacity (float): Weight of the map's colours in [0, 1].
    """

    def __init__(self, prob: np.ndarray, opacity: float) -> None:
        self.opacity = opacity
        self._colours = colour_map(prob)
        self._line = level_line(prob, CONTOUR_LEVEL)

    def over(self, grey: np.ndarray) -> np.ndarray:
        """Draws the map over the grey values (H, W) of a frame."""
        grey = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
        weight = self.opacity
        picture = cv2.addWeighted(self._colours, weight, grey, 1 - weight, 0)
        _whiten(picture, *self._line)
        return picture


def overlay_heatmap(
    image: np.ndarray, prob: Tensor, opacity: float = 0.7
) -> np.ndarray:
    """Lays a map (h, w) or (1, h, w) over its frame, as :class:`HeatLayer` does."""
    layer = HeatLayer(upsample_map(prob, image.shape[:2]), opacity)
    return layer.over(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def draw_level(picture: np.ndarray, values: np.ndarray, level: float) -> np.ndarray:
    """Draws the line along which a map (H, W) has the value ``level``, in white."""
    picture = picture.copy()
    _whiten(picture, *level_line(values, level))
    return picture


def level_line(values: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Finds the pixels of the line along which a map (H, W) has the value ``level``.

    The distance of a pixel from the line is, to first order, the difference in value
    over the slope; pixels fade out over the last pixel of that distance.

    Returns which pixels the line covers, bool (H, W), and the share covered of each,
    float32 (number of them, 1).
    """
    values = np.asarray(values, np.float32)
    slope = cv2.magnitude(_slope(values, 1, 0), _slope(values, 0, 1))
    height = np.abs(values - np.float32(level))
    reach = (LINE_WIDTH + 1) / 2
    # a plateau has no line, whatever its value
    near = (height < reach * slope) & (slope > 1e-5)
    return near, np.minimum(reach - height[near] / slope[near], 1)[:, None]


def _slope(values: np.ndarray, dx: int, dy: int) -> np.ndarray:
    """Computes central differences along x or y; one-sided ones at the edges."""
    border = cv2.BORDER_REPLICATE
    slope = cv2.Sobel(values, -1, dx, dy, ksize=1, scale=0.5, borderType=border)
    edges = slope.T if dx else slope
    edges[[0, -1]] *= 2
    return slope


def _whiten(picture: np.ndarray, where: np.ndarray, cover: np.ndarray) -> None:
    """Lays white over some pixels of a picture, in place."""
    picture[where] = np.rint(picture[where] * (1 - cover) + 255 * cover)


@lru_cache
def _load_font(size: int, bold: bool = False) -> 'FreeTypeFont':
    """Loads the font that matplotlib ships, so that no system font is needed."""
    from matplotlib import get_data_path
    from PIL import ImageFont

    name = 'DejaVuSans-Bold.ttf' if bold else 'DejaVuSans.ttf'
    return ImageFont.truetype(f'{get_data_path()}/fonts/ttf/{name}', size)


def _elide(text: str, font: 'FreeTypeFont', width: float) -> str:
    """Shortens a text in its middle until it fits, since ids differ at both ends."""
    text = ' '.join(text.split())
    if font.getlength(text) <= width:
        return text
    for kept in range(min(len(text), int(width)), 0, -1):
        head, tail = text[: (kept + 1) // 2], text[len(text) - kept // 2 :]
        short = f'{head}…{tail}'
        if font.getlength(short) <= width:
            return short
    return ''


def panel_size(shape: tuple[int, int]) -> tuple[int, int]:
    """Computes height and width at which a frame is drawn, with its aspect kept.

    Its shortest side has at least :data:`MIN_SIDE` pixels, unless the longest one would
    have more than :data:`MAX_SIDE`.
    """
    scale = min(max(1.0, MIN_SIDE / min(shape)), MAX_SIDE / max(shape))
    height, width = (max(1, round(side * scale)) for side in shape)
    return height, width


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes a picture to (H, W), by area to shrink and bicubically to enlarge it."""
    if image.shape[:2] == tuple(size):
        return image
    shrinks = size[0] * size[1] < image.shape[0] * image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(image, size[::-1], interpolation=method)


def draw_boxes(picture: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Draws boxes, (N, 4) x1 y1 x2 y2 in [0, 1], visible on any background."""
    picture = picture.copy()
    height, width = picture.shape[:2]
    scale = np.array([width, height, width, height])
    last = np.array([0, 0, 1, 1])  # x2 and y2 are exclusive
    corners = np.rint(np.reshape(boxes, (-1, 4)) * scale).astype(int) - last
    # two pixels of line inward from the box's own edge, a rim on either side
    for inset, colour in ((-1, INK), (2, INK), (1, BOX_COLOUR), (0, BOX_COLOUR)):
        for x1, y1, x2, y2 in corners.tolist():
            start, end = (x1 + inset, y1 + inset), (x2 - inset, y2 - inset)
            cv2.rectangle(picture, start, end, colour)
    return picture


def draw_region(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Outlines a region, bool (H, W), in the style of :func:`draw_boxes`."""
    picture = picture.copy()
    outlines, _ = cv2.findContours(
        mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE
    )
    for colour, width in ((INK, 4), (BOX_COLOUR, 2)):
        cv2.drawContours(picture, outlines, -1, colour, width)
    return picture


def make_panel(picture: np.ndarray, title: str, detail: str = '') -> np.ndarray:
    """Puts a title and a line of detail above a picture.

    The height of the two lines depends on the picture's width alone, so panels
    of equally large pictures are equally large. Texts are shortened where they do not
    fit.
    """
    from PIL import Image, ImageDraw

    width = picture.shape[1]
    size = _text_size(width)
    bold, plain = _load_font(size, bold=True), _load_font(size - 1)
    bar = Image.new('RGB', (width, _title_height(width)), PAPER)
    pen = ImageDraw.Draw(bar)
    pen.text((0, 1.1 * size), _elide(title, bold, width), INK, bold, anchor='ls')
    pen.text((0, 2.4 * size), _elide(detail, plain, width), FAINT_INK, plain, 'ls')
    return np.vstack([np.asarray(bar), picture])


def map_panel(
    image: np.ndarray, prob: Tensor, title: str, detail: str = '', boxes: Any = ()
) -> np.ndarray:
    """Makes a panel of a frame with a map and boxes laid over it."""
    return make_panel(draw_boxes(overlay_heatmap(image, prob), boxes), title, detail)


def _text_size(width: int) -> int:
    """Returns the font size of the title over a picture of this width, in pixels."""
    return min(max(width // 17, 12), 20)


def _title_height(width: int) -> int:
    return round(2.9 * _text_size(width))


def colour_bar(size: tuple[int, int]) -> np.ndarray:
    """Draws the scale of the heat maps, as high as a panel of pictures of a size."""
    from PIL import Image, ImageDraw

    height, top = size[0], _title_height(size[1])
    text = _text_size(size[1])
    font = _load_font(text - 1)
    bar_width, tick = text, 4
    ramp = colour_map(np.repeat(np.linspace(1, 0, height)[:, None], bar_width, 1))
    ramp[round((1 - CONTOUR_LEVEL) * (height - 1))] = 255

    width = bar_width + tick + round(font.getlength('0.5')) + round(2.2 * text)
    bar = Image.new('RGB', (width, top + height), PAPER)
    bar.paste(Image.fromarray(ramp), (0, top))
    pen = ImageDraw.Draw(bar)
    for value, anchor in ((1, 'la'), (0.5, 'lm'), (0, 'ld')):
        y = top + (1 - value) * (height - 1)
        pen.text((bar_width + tick, y), f'{value:g}', FAINT_INK, font, anchor)

    label = 'probability, fixed scale; line at 0.5'
    if font.getlength(label) > height:
        label = 'probability'
    strip = Image.new('RGB', (height, round(1.6 * text)), PAPER)
    ImageDraw.Draw(strip).text(
        (height / 2, 0.8 * text), _elide(label, font, height), FAINT_INK, font, 'mm'
    )
    bar.paste(strip.rotate(90, expand=True), (width - strip.height, top))
    return np.asarray(bar)


def contact_sheet(
    panels: Sequence[np.ndarray], columns: int = 1, padding: int = 12
) -> np.ndarray:
    """Arranges pictures of any sizes in a grid on white, row by row.

    Nothing is scaled. A column is as wide as its widest picture and a row as
    high as its highest; smaller pictures are placed in the upper left of their cell,
    ``padding`` pixels apart.

    Raises:
        ValueError: If there is no picture or ``columns`` is not positive.
    """
    if not len(panels) or columns < 1:
        raise ValueError(
            'a contact sheet needs at least one picture and one column, '
            f'but has {len(panels)} and {columns}'
        )
    rows = [panels[i : i + columns] for i in range(0, len(panels), columns)]
    heights = [max(panel.shape[0] for panel in row) for row in rows]
    widths = [
        max(panel.shape[1] for panel in panels[column::columns])
        for column in range(min(columns, len(panels)))
    ]
    tops = padding + np.cumsum([0, *(height + padding for height in heights)])
    lefts = padding + np.cumsum([0, *(width + padding for width in widths)])
    sheet = np.full((tops[-1], lefts[-1], 3), 255, np.uint8)
    # the sums have one item more (the far edge), and the last row may be short
    for top, row in zip(tops, rows, strict=False):
        for left, panel in zip(lefts, row, strict=False):
            height, width = panel.shape[:2]
            sheet[top : top + height, left : left + width] = panel
    return sheet


def map_title(name: str) -> str:
    """Returns the title of a map: ``a`` is localizer A, ``ens`` the ensemble."""
    if len(name) == 1:
        return f'Localizer {name.upper()}'
    return 'Ensemble' if name == 'ens' else name


def load_frame(sample: AVDataSample) -> np.ndarray:
    """Reads the frame of a sample at the size at which it is drawn.

    The file is read, not the model's smaller input: the canonical frame is the
    whole image, so boxes and maps fit both. The aspect is that of ``img_shape``.
    """
    image, _ = read_frame(sample.img_path, panel_size(sample.img_shape))
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def read_picture(path: str) -> np.ndarray:
    """Reads an image file at its own size."""
    return cv2.cvtColor(decode_frame(path), cv2.COLOR_BGR2RGB)


def write_picture(picture: np.ndarray, path: str | os.PathLike) -> None:
    """Writes a PNG, with the folders above it."""
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    data = cv2.imencode('.png', bgr)[1].tobytes()
    if '://' in str(path):  # a store that MMEngine knows
        put(data, path)
    else:
        write_result(path, data)
