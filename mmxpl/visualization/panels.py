"""Panels with titles, sheets of panels, and their files."""

import os
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
from mmengine.fileio import put

from mmxpl.datasets.image_io import decode_frame, read_frame
from mmxpl.structures import AVDataSample

from .heatmap import CONTOUR_LEVEL, colour_map

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

PAPER = (255, 255, 255)
INK = (24, 24, 27)
FAINT_INK = (98, 98, 106)
BOX_COLOUR = (0, 229, 255)  # cyan: occurs neither in the colour map nor often in photos


@lru_cache
def load_font(size: int, bold: bool = False) -> 'FreeTypeFont':
    """Loads the font that matplotlib ships, so that no system font is needed.

    Args:
        size (int): Size in pixels.
        bold (bool): Whether to load the bold font.

    Returns:
        FreeTypeFont: The font.
    """
    from matplotlib import get_data_path
    from PIL import ImageFont

    name = 'DejaVuSans-Bold.ttf' if bold else 'DejaVuSans.ttf'
    return ImageFont.truetype(f'{get_data_path()}/fonts/ttf/{name}', size)


def elide(text: str, font: 'FreeTypeFont', width: float) -> str:
    """Shortens a text in its middle until it fits, since ids differ at both ends.

    Args:
        text (str): The text; runs of white space become one space.
        font (FreeTypeFont): The font.
        width (float): Width available, in pixels.

    Returns:
        str: The text, or as much of both its ends as fits around an ellipsis.
    """
    text = ' '.join(text.split())
    if font.getlength(text) <= width:
        return text
    for kept in range(min(len(text), int(width)), 0, -1):
        head, tail = text[: (kept + 1) // 2], text[len(text) - kept // 2 :]
        short = f'{head}…{tail}'
        if font.getlength(short) <= width:
            return short
    return ''


def panel_size(
    shape: tuple[int, int], minimum: int = 224, maximum: int = 512
) -> tuple[int, int]:
    """Computes the size at which a frame is drawn, with its aspect kept.

    Args:
        shape (tuple[int, int]): Height and width of the frame.
        minimum (int): Shortest side in pixels, to which small frames are enlarged.
        maximum (int): Longest side in pixels, which takes precedence.

    Returns:
        tuple[int, int]: Height and width in pixels.
    """
    scale = max(1.0, minimum / min(shape))
    scale = min(scale, maximum / max(shape))
    height, width = (max(1, round(side * scale)) for side in shape)
    return height, width


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes a picture, by area when it shrinks and bicubically when it grows.

    Args:
        image (np.ndarray): uint8 of shape (H, W, 3).
        size (tuple[int, int]): Height and width wanted.

    Returns:
        np.ndarray: uint8 of shape (*size, 3).
    """
    if image.shape[:2] == tuple(size):
        return image
    shrinks = size[0] * size[1] < image.shape[0] * image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(image, size[::-1], interpolation=method)


def draw_boxes(picture: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Draws boxes with a dark rim, visible on any background.

    Args:
        picture (np.ndarray): RGB uint8 of shape (H, W, 3); not changed.
        boxes (np.ndarray): (N, 4), x1 y1 x2 y2 normalised to [0, 1].

    Returns:
        np.ndarray: A new picture.
    """
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
    """Outlines a region of any shape in the style of :func:`draw_boxes`.

    Args:
        picture (np.ndarray): RGB uint8 of shape (H, W, 3); not changed.
        mask (np.ndarray): The region, bool of shape (H, W).

    Returns:
        np.ndarray: A new picture.
    """
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
    of equally large pictures are equally large.

    Args:
        picture (np.ndarray): RGB uint8 of shape (H, W, 3).
        title (str): First line, bold; shortened where it does not fit.
        detail (str): Second line.

    Returns:
        np.ndarray: RGB uint8 of shape (H + bar, W, 3).
    """
    from PIL import Image, ImageDraw

    width = picture.shape[1]
    size = text_size(width)
    bold, plain = load_font(size, bold=True), load_font(size - 1)
    bar = Image.new('RGB', (width, title_height(width)), PAPER)
    pen = ImageDraw.Draw(bar)
    pen.text((0, 1.1 * size), elide(title, bold, width), INK, bold, anchor='ls')
    pen.text((0, 2.4 * size), elide(detail, plain, width), FAINT_INK, plain, 'ls')
    return np.vstack([np.asarray(bar), picture])


def text_size(width: int) -> int:
    """Returns the font size of the title over a picture of this width, in pixels."""
    return min(max(width // 17, 12), 20)


def title_height(width: int) -> int:
    """Returns the height of the bar that :func:`make_panel` adds, in pixels."""
    return round(2.9 * text_size(width))


def colour_bar(size: tuple[int, int]) -> np.ndarray:
    """Draws the colour scale of the heat maps, to be placed beside panels.

    Args:
        size (tuple[int, int]): Height and width of the pictures in the panels.

    Returns:
        np.ndarray: RGB uint8, as high as such a panel.
    """
    from PIL import Image, ImageDraw

    height, top = size[0], title_height(size[1])
    text = text_size(size[1])
    font = load_font(text - 1)
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
        (height / 2, 0.8 * text), elide(label, font, height), FAINT_INK, font, 'mm'
    )
    bar.paste(strip.rotate(90, expand=True), (width - strip.height, top))
    return np.asarray(bar)


def contact_sheet(
    panels: Sequence[np.ndarray],
    columns: int = 1,
    padding: int = 12,
) -> np.ndarray:
    """Arranges pictures in a grid on white, row by row.

    Nothing is scaled. A column is as wide as its widest picture and a row as
    high as its highest; smaller pictures are placed in the upper left of their cell.

    Args:
        panels (Sequence[np.ndarray]): RGB uint8 pictures of shape (H, W, 3), of
            any sizes.
        columns (int): Pictures in a row.
        padding (int): Space around and between them, in pixels.

    Returns:
        np.ndarray: RGB uint8 sheet.

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
    whole image, so boxes and maps fit both.

    Args:
        sample (AVDataSample): A sample with ``img_path`` and ``img_shape``.

    Returns:
        np.ndarray: RGB uint8 of shape (H, W, 3), with the aspect of ``img_shape``.

    Raises:
        DataError: If the file is missing or is not an image.
    """
    image, _ = read_frame(sample.img_path, panel_size(sample.img_shape))
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def read_picture(path: str) -> np.ndarray:
    """Reads an image file at its own size.

    Args:
        path (str): The file.

    Returns:
        np.ndarray: RGB uint8 of shape (H, W, 3).

    Raises:
        DataError: If the file is missing or is not an image.
    """
    return cv2.cvtColor(decode_frame(path), cv2.COLOR_BGR2RGB)


def write_picture(picture: np.ndarray, path: str | os.PathLike) -> None:
    """Writes a PNG, with the folders above it.

    Args:
        picture (np.ndarray): RGB uint8 of shape (H, W, 3).
        path (str | os.PathLike): The file.
    """
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    put(cv2.imencode('.png', bgr)[1].tobytes(), path)
