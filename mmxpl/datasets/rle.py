"""Checks and decodes run-length encoded masks."""

from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from mmxpl.utils import DataError

from .media import MAX_PIXELS


def check_rle(value: Any, where: str) -> dict:
    """Checks the form of a COCO run-length encoding without decoding it.

    Args:
        value (Any): should be ``{'size': [h, w], 'counts': str | list[int]}``.
        where (str): file, index and field, for the message.

    Returns:
        dict: The encoding as it was given.

    Raises:
        DataError: If it is anything else.
    """
    size = value.get('size') if isinstance(value, dict) else None
    if (
        not isinstance(size, list | tuple)
        or len(size) != 2
        or not all(type(side) is int and side > 0 for side in size)
        or not isinstance(value.get('counts'), str | list)
    ):
        raise DataError(
            f'{where} must be a COCO run-length encoding '
            '{"size": [height, width], "counts": string or list of integers}.'
        )
    if size[0] * size[1] > MAX_PIXELS:
        raise DataError(f'{where}.size: {size[0]}x{size[1]} pixels are too many.')
    return value


def decode_rle(rle: dict, where: str) -> np.ndarray:
    """Decodes a mask.

    pycocotools reads beyond its buffers when the runs do not add up to the
    mask's size, so they are added up first.

    Args:
        rle (dict): as :func:`check_rle` accepts it.
        where (str): clip or file, for the message.

    Returns:
        np.ndarray: uint8 mask of shape (H, W), 1 on the object.

    Raises:
        DataError: If the runs do not fill the mask exactly, or are not written as
            pycocotools writes them.
    """
    check_rle(rle, where)
    height, width = rle['size']
    counts = rle['counts']
    try:
        runs = _decompress(counts) if isinstance(counts, str) else counts
        fits = all(type(run) is int and run >= 0 for run in runs)
        fits = fits and sum(runs) == height * width
    except (IndexError, UnicodeEncodeError):
        fits = False
    if not fits:
        raise DataError(
            f'{where}: the runs of the mask do not add up to its size '
            f'{height}x{width}. Write the encoding anew.'
        )
    if isinstance(counts, str):
        rle = {'size': [height, width], 'counts': counts.encode('ascii')}
    else:
        rle = coco_mask.frPyObjects(rle, height, width)
    try:
        return coco_mask.decode(rle)
    except ValueError as error:  # such as runs of nothing at the end
        raise DataError(
            f'{where}: the runs of the mask cannot be decoded ({error}). Write the '
            'encoding anew.'
        ) from error


def _decompress(counts: str) -> list[int]:
    """Reads the run lengths of COCO's compressed string.

    Each number is little-endian in groups of five bits above the character
    '0', bit 5 telling that more follow; from the fourth on, a number is the
    difference to the one two before (cocodataset/cocoapi, ``rleFrString``).
    """
    data = counts.encode('ascii')
    runs: list[int] = []
    position = 0
    while position < len(data):
        value = 0
        for shift in range(0, 40, 5):  # more groups than any valid number has
            group = data[position] - 48
            position += 1
            value |= (group & 0x1F) << shift
            if not group & 0x20:
                break
        if group & 0x10:
            value -= 32 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
    return runs
