"""Boxes and masks of annotation files: checks and clipping to the frame.

What is malformed is a DataError that says where: ``where`` is file, index and field.
"""

import logging
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from struct import Struct
from types import NoneType
from typing import Any

import cv2
import numpy as np
from mmengine.logging import print_log
from pycocotools import mask as coco_mask

from mmxpl.utils import DataError
from mmxpl.utils.ids import name_some

from .entries import batched
from .id_list import are_plain_ids, refuse_duplicates, same_id
from .media import MAX_PIXELS

Box = list[float]

_BOX = Struct('4d')


def parse_entries(
    entries: Iterable[Any],
    parse: Callable[[Any], tuple[str, dict]],
    parse_plain: Callable[[list], Iterable[tuple[str, dict]] | None],
    where: Sequence[str],
) -> Iterator[tuple[str, dict]]:
    """Parses the clips of a JSON file.

    ``parse`` makes id and annotation of one and begins its errors with the field.
    ``parse_plain`` does the same for many, faster; it gives None or any DataError if
    one of them may be wrong or is unusual. ``where`` is what stands before and after
    the number of a clip in errors.
    """
    first = 0
    for batch in batched(entries):
        try:
            pairs = parse_plain(batch)
        except DataError:
            pairs = None
        if pairs is not None:
            yield from pairs
        else:
            for number, entry in enumerate(batch, first):
                try:
                    pair = parse(entry)
                except DataError as error:
                    place = f'{where[0]}{number}{where[1]}'
                    raise DataError(f'{place}{error}') from None
                yield pair
        first += len(batch)


def plain_names(
    entries: list, fields: tuple[str, str]
) -> tuple[list[str], list[str | None]] | None:
    """Does what :func:`parse_names` does for many clips; None as in parse_entries."""
    if not set(map(type, entries)) <= {dict}:
        return None
    ids, categories = ([entry.get(field) for entry in entries] for field in fields)
    kinds = set(map(type, categories))
    if not are_plain_ids(ids) or not kinds <= {str, NoneType}:
        return None
    if NoneType in kinds:
        return ids, [name and sys.intern(name) for name in categories]
    return ids, list(map(sys.intern, categories))


def plain_boxes(values: list) -> list[list[Box]] | None:
    """Does what :func:`parse_boxes` does for many clips; None as in parse_entries."""
    if not set(map(type, values)) <= {list}:
        return None
    boxes = list(chain.from_iterable(values))
    if not set(map(type, boxes)) <= {list} or not set(map(len, boxes)) <= {4}:
        return None
    numbers = list(chain.from_iterable(boxes))
    kinds = set(map(type, numbers))
    try:
        if not kinds <= {float, int} or math.isnan(sum(numbers)):
            return None
        if int in kinds:
            return [[list(map(float, box)) for box in boxes] for boxes in values]
    except OverflowError:  # an integer of hundreds of digits
        return None
    return values


def parse_names(entry: Any, fields: tuple[str, str]) -> tuple[str, str | None]:
    """Checks id and category, of two given fields, of a clip in a JSON file.

    Returns:
        tuple[str, str | None]: Id as it is compared, and category if there is one.
    """
    if type(entry) is not dict:
        raise DataError(f' must be an object, got {type(entry).__name__}.')
    sample_id, category = entry.get(fields[0]), entry.get(fields[1])
    if not isinstance(sample_id, str) or not sample_id:
        raise DataError(f", field '{fields[0]}' must be an id, got {sample_id!r}.")
    if category is not None:
        if not isinstance(category, str):
            raise DataError(
                f" ('{sample_id}'), field '{fields[1]}' must be text, got {category!r}."
            )
        category = sys.intern(category)  # one object for the clips of a class
    return same_id(sample_id), category


def parse_boxes(value: Any, where: str) -> list[Box]:
    """Checks the boxes of a clip in a JSON file, a list of ``[x1, y1, x2, y2]``.

    They may lie outside the frame.
    """
    if not isinstance(value, list):
        raise DataError(
            f'{where} must be a list of boxes [x1, y1, x2, y2], got '
            f'{type(value).__name__}.'
        )
    return [parse_box(box, f'{where}[{n}]') for n, box in enumerate(value)]


def parse_box(box: Any, where: str, form: str = '[x1, y1, x2, y2]') -> Box:
    """Checks the four numbers of a box; ``form`` says which, for errors."""
    if (
        not isinstance(box, list)
        or len(box) != 4
        or not all(type(value) in (int, float) for value in box)
    ):
        raise DataError(f'{where} must be four numbers {form}, got {box!r}.')
    try:
        numbers = [float(value) for value in box]
    except OverflowError as error:  # an integer of hundreds of digits
        raise DataError(f'{where} holds a number that is out of range.') from error
    if any(math.isnan(value) for value in numbers):
        raise DataError(
            f'{where} holds NaN. Write the coordinate, or leave the box out.'
        )
    return numbers


def clip_boxes(boxes: Sequence[Box]) -> tuple[list[Box], int, int]:
    """Clips normalised boxes x1 y1 x2 y2 to the frame and drops those without area.

    Returns:
        tuple[list[Box], int, int]: The boxes within [0, 1], the number of given
        boxes that reached out of the frame, and the number of dropped ones.
    """
    if all(0 <= x < x2 <= 1 and 0 <= y < y2 <= 1 for x, y, x2, y2 in boxes):
        return list(boxes), 0, 0
    clipped = [[min(max(v, 0.0), 1.0) for v in box] for box in boxes]
    outside = sum(list(old) != new for old, new in zip(boxes, clipped, strict=True))
    kept = [box for box in clipped if box[2] > box[0] and box[3] > box[1]]
    return kept, outside, len(clipped) - len(kept)


def looks_like_pixels(boxes: Sequence[Box] | np.ndarray) -> bool:
    """Tells whether more than half of the boxes reach beyond twice the frame."""
    return _mostly_far(np.asarray(boxes).reshape(-1, 4).max(1))


def _mostly_far(largest: np.ndarray) -> bool:
    return 2 * np.sum((largest > 2) & (largest < math.inf)) > len(largest)


def pack_boxes(annotations: Iterable[dict]) -> None:
    """Replaces ``bboxes``, where there are any, by bytes, a quarter of the memory."""
    pack = _BOX.pack
    for annotation in annotations:
        if boxes := annotation.get('bboxes'):
            # most clips have one
            one = len(boxes) == 1
            packed = pack(*boxes[0]) if one else b''.join([pack(*b) for b in boxes])
            annotation['bboxes'] = packed


def unpack_boxes(annotations: Iterable[dict]) -> None:
    """Reverses :func:`pack_boxes`."""
    unpack, unpack_all = _BOX.unpack, _BOX.iter_unpack
    for annotation in annotations:
        if isinstance(packed := annotation.get('bboxes'), bytes):
            one = len(packed) == _BOX.size
            annotation['bboxes'] = (
                [list(unpack(packed))] if one else list(map(list, unpack_all(packed)))
            )


def has_label(annotation: Mapping) -> bool:
    """Tells whether the annotation of a clip holds a box or a mask."""
    return bool(annotation.get('bboxes')) or annotation.get('mask') is not None


class FrameClipper:
    """Clips boxes, normalised x1 y1 x2 y2, to the frame and logs what changed."""

    def __init__(self) -> None:
        self._clipped, self._empty, self._without_area = [], [], 0
        self._largest: list[np.ndarray] = []

    def clip(self, clips: Sequence[tuple[str, dict]]) -> None:
        """Clips the ``bboxes`` of ids with annotations, in place."""
        boxes = [annotation.get('bboxes') or () for _, annotation in clips]
        flat = chain.from_iterable(chain.from_iterable(boxes))
        corners = np.fromiter(flat, float).reshape(-1, 4).T.copy()
        low, high = corners[:2], corners[2:]
        self._largest.append(corners.max(0))
        fine = ((low >= 0) & (low < high) & (high <= 1)).all(0)
        if fine.all():
            return
        owners = np.repeat(np.arange(len(boxes)), [len(found) for found in boxes])
        for n in np.unique(owners[~fine]):
            sample_id, annotation = clips[n]
            annotation['bboxes'], outside, dropped = clip_boxes(boxes[n])
            self._without_area += dropped
            if outside:
                self._clipped.append(sample_id)
            if not annotation['bboxes'] and annotation.get('mask') is None:
                self._empty.append(sample_id)

    def report(self, source: str) -> None:
        """Refuses boxes that seem to be in pixels, and logs what changed."""
        largest = np.concatenate([[], *self._largest])
        if _mostly_far(largest):
            raise DataError(
                f'{source}: most boxes reach far beyond 1; they seem to be in '
                'pixels. Divide x by the width and y by the height of the frame.'
            )
        report = []
        if self._clipped:
            report.append(
                f'boxes of {len(self._clipped)} clips reach out of the frame and were '
                f'clipped ({name_some(self._clipped)})'
            )
        if self._without_area:
            report.append(f'{self._without_area} boxes without area were dropped')
        if self._empty:
            report.append(
                f'{len(self._empty)} clips have no box left and are left out: '
                f'{", ".join(self._empty)}'
            )
        if report:
            print_log(
                f'{source}: {"; ".join(report)}.',
                logger='current',
                level=logging.WARNING,
            )


def collect(
    pairs: Iterable[tuple[str, dict]],
    source: str,
    compact: Callable[[Sequence[dict]], Sequence[dict]] = lambda found: found,
) -> dict[str, dict]:
    """Collects annotations by id; ids that occur twice in their file are refused.

    ``compact`` makes of many annotations what is kept of them.
    """
    annotations, ids = {}, []
    for batch in batched(pairs):
        names, found = zip(*batch, strict=True)
        annotations.update(zip(names, compact(found), strict=True))
        ids += names
    if len(annotations) < len(ids):
        refuse_duplicates(ids, source)
    return annotations


def check_rle(value: Any, where: str) -> dict:
    """Checks the form of a COCO run-length encoding without decoding it.

    It is ``{'size': [h, w], 'counts': str | list[int]}`` of at most
    :data:`~mmxpl.datasets.media.MAX_PIXELS`, and is returned unchanged.
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
    """Decodes a COCO run-length encoding to uint8 of shape (H, W), 1 on the object.

    pycocotools reads beyond its buffers if the runs do not add up to the size of the
    mask, so this is checked first.
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
    except ValueError as error:  # such as empty runs at the end
        raise DataError(
            f'{where}: the runs of the mask cannot be decoded ({error}). Write the '
            'encoding anew.'
        ) from error


def encode_rle(mask: np.ndarray) -> dict:
    """Encodes a binary mask (H, W) as a COCO run-length encoding for JSON."""
    rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return {'size': list(mask.shape), 'counts': rle['counts'].decode('ascii')}


def mask_box(mask: np.ndarray) -> Box:
    """Finds the tight box, normalised x1 y1 x2 y2, around a binary mask (H, W)."""
    height, width = mask.shape
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    return [x / width, y / height, (x + w) / width, (y + h) / height]


def _decompress(counts: str) -> list[int]:
    """Reads the run lengths of COCO's compressed string.

    Each number is little-endian in groups of five bits above the character '0'; bit 5
    marks that more groups follow. From the fourth on, a number is the difference to
    the one two before (cocodataset/cocoapi, ``rleFrString``).
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
