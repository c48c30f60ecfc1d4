"""Reads boxes from annotations and brings them into the frame."""

import math
from collections.abc import Sequence
from typing import Any

from mmxpl.utils import DataError

Box = list[float]


def parse_boxes(value: Any, where: str) -> list[Box]:
    """Checks the boxes of one clip as they stand in a JSON file.

    Args:
        value (Any): should be a list of ``[x1, y1, x2, y2]``.
        where (str): file, index and field, for the message.

    Returns:
        list[Box]: The boxes as floats; they may lie outside the frame.

    Raises:
        DataError: If it is anything else, or if a coordinate is not a number.
    """
    if not isinstance(value, list):
        raise DataError(
            f'{where} must be a list of boxes [x1, y1, x2, y2], got '
            f'{type(value).__name__}.'
        )
    return [_parse_box(box, f'{where}[{n}]') for n, box in enumerate(value)]


def clip_boxes(boxes: Sequence[Box]) -> tuple[list[Box], int, int]:
    """Clips boxes to the frame and drops those with no area left.

    Args:
        boxes (Sequence[Box]): x1 y1 x2 y2, normalised.

    Returns:
        tuple[list[Box], int, int]: The boxes within [0, 1], how many of the
        given ones reached out of the frame, and how many had no area.
    """
    clipped = [[min(max(v, 0.0), 1.0) for v in box] for box in boxes]
    outside = sum(list(old) != new for old, new in zip(boxes, clipped, strict=True))
    kept = [box for box in clipped if box[2] > box[0] and box[3] > box[1]]
    return kept, outside, len(clipped) - len(kept)


def looks_like_pixels(boxes: Sequence[Box]) -> bool:
    """Tells whether boxes seem to be in pixels, where [0, 1] is expected.

    Args:
        boxes (Sequence[Box]): x1 y1 x2 y2.

    Returns:
        bool: True if more than half reach beyond twice the frame.
    """
    return 2 * sum(2 < max(box) < math.inf for box in boxes) > len(boxes)


def _parse_box(box: Any, where: str) -> Box:
    """Checks one box."""
    if not isinstance(box, list) or len(box) != 4:
        raise DataError(f'{where} must be four numbers [x1, y1, x2, y2], got {box!r}.')
    for value in box:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise DataError(f'{where} must hold four numbers, got {value!r}.')
    try:
        numbers = [float(value) for value in box]
    except OverflowError as error:  # an integer of hundreds of digits
        raise DataError(f'{where} holds a number that is out of range.') from error
    if any(math.isnan(value) for value in numbers):
        raise DataError(
            f'{where} holds NaN. Write the coordinate, or leave the box out.'
        )
    return numbers
