"""Conversion of raw media and of labels in other formats into the supported layouts.

Writers write a file completely or not at all. A file that cannot be read or written, or
is malformed, is a DataError that names it.
"""

import csv
import errno
import io
import json
import math
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
import soundfile
from pycocotools import mask as coco_mask
from rich.progress import MofNCompleteColumn, Progress

from mmxpl.utils import DataError
from mmxpl.utils.files import files_below, locked, remove_drafts, write_result
from mmxpl.utils.parallel import try_in_threads

from .annotations import (
    check_rle,
    clip_boxes,
    decode_rle,
    encode_rle,
    mask_box,
    parse_box,
)
from .id_list import check_id, same_id
from .image_io import decode_image
from .inspection import check_shapes
from .json_io import read_json
from .media import MAX_PIXELS

SETTINGS, FAILED, LOCK = 'convert.json', 'failed.csv', '.convert.lock'


@dataclass
class BatchResult:
    """Ids that are complete now, how many were before, and the others with reasons."""

    done: list[str] = field(default_factory=list)
    already: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return (
            f'{len(self.done) + len(self.failed)} clips: {len(self.done)} complete '
            f'({self.already} of them from an earlier run), {len(self.failed)} failed'
        )


def convert_batch(
    out: Path,
    ids: Sequence[str],
    is_complete: Callable[[str], bool],
    convert: Callable[[str], None],
    settings: Mapping,
    workers: int = 1,
) -> BatchResult:
    """Converts clips into a folder and lists those that cannot be converted.

    Complete clips are skipped, so an interrupted run continues where it stopped; what
    it had not finished writing is removed. ``failed.csv`` holds the ids and reasons of
    the last run, ``convert.json`` the settings; a folder of other settings is refused.
    A full disk is an OSError at once. The caller holds :func:`lock_output` of the
    folder.

    Args:
        out (Path): The folder.
        ids (Sequence[str]): The clips.
        is_complete (Callable): Tells whether all files of a clip are there.
        convert (Callable): Writes the files of a clip; raises a DataError if it cannot
            be converted.
        settings (Mapping): Settings that decide the files, as plain JSON values.
        workers (int): Number of threads.
    """
    _check_settings(out / SETTINGS, dict(settings))
    for folder in (out, *filter(Path.is_dir, out.iterdir())):
        remove_drafts(folder)
    open_ids = [i for i in ids if not is_complete(i)]
    result = BatchResult(already=len(ids) - len(open_ids))

    def attempt(sample_id: str) -> None:
        try:
            convert(sample_id)
        except DataError as error:
            code = getattr(error.__cause__, 'errno', None)
            if code in (errno.ENOSPC, errno.EDQUOT):  # all others would fail, too
                raise OSError(code, os.strerror(code), str(out)) from error
            raise

    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, disable=not sys.stderr.isatty()) as progress:
        row = progress.add_task(str(out), total=len(ids), completed=result.already)
        results = try_in_threads(attempt, open_ids, workers)
        for sample_id, error in zip(open_ids, results, strict=True):
            progress.advance(row)
            if isinstance(error, DataError):
                result.failed[sample_id] = str(error)
    result.done = [i for i in ids if i not in result.failed]
    table = io.StringIO()
    rows = [('sample_id', 'reason'), *result.failed.items()]
    csv.writer(table, lineterminator='\n').writerows(rows)
    write_result(out / FAILED, table.getvalue())
    return result


def lock_output(out: Path) -> AbstractContextManager:
    """Locks a folder; a DataError says that another process converts into it."""
    return locked(
        out / LOCK,
        f'{out}: another conversion into this folder is running. Wait for it, end it, '
        'or choose another folder.',
    )


def _check_settings(path: Path, settings: dict) -> None:
    """Writes the settings, or refuses to change those that are there."""
    if not path.exists():
        write_result(path, json.dumps(settings, indent=2, sort_keys=True) + '\n')
        return
    found = read_json(path, 'record of settings')
    if not isinstance(found, dict):
        raise DataError(f'{path}: holds no settings. Choose another folder.')
    other = [
        f'{key}={found.get(key)!r}, now {settings.get(key)!r}'
        for key in sorted(found.keys() | settings)
        if found.get(key) != settings.get(key)
    ]
    if other:
        raise DataError(
            f'{path}: the folder was converted with other settings '
            f'({"; ".join(other)}). Use them again, choose another folder or remove '
            'this one.'
        )


def write_image(path: Path, image: np.ndarray, quality: int = 95) -> None:
    """Writes a JPEG of an image, uint8 (H, W, 3), BGR; ``quality`` is 1 to 100."""
    _, data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    write_result(path, data.tobytes())


def write_wav(path: Path, wave: np.ndarray, sample_rate: int) -> None:
    """Writes a 16-bit WAV of a sound, int16 or floats in [-1, 1] of shape (T,)."""
    content = io.BytesIO()
    soundfile.write(content, wave, sample_rate, subtype='PCM_16', format='WAV')
    write_result(path, content.getvalue())


def copy_bytes(path: Path, source: Path) -> None:
    """Copies a file."""
    try:
        content = source.read_bytes()
    except OSError as error:
        raise DataError(
            f'{source}: the file cannot be read ({error.strerror}).'
        ) from error
    write_result(path, content)


def coco_images(content: Any, path: str | Path) -> dict[int | str, tuple]:
    """Reads the images of a COCO file from its content; ``path`` is for messages.

    No image, or two of one id or one clip, are a DataError.

    Returns:
        dict[int | str, tuple]: By id of each image: id of the clip, which is the
        ``file_name`` without folder and ending, and (height, width) in pixels.
    """
    if not isinstance(content, dict):
        raise DataError(f'{path} must be an object, got {type(content).__name__}.')
    images, places = {}, {}
    for where, image in _items(content, 'images', path):
        name, size = image.get('file_name'), (image.get('height'), image.get('width'))
        if not isinstance(name, str) or not PurePosixPath(name).stem:
            raise DataError(f"{where}, field 'file_name' must be a file, got {name!r}.")
        whole = all(type(side) is int and side > 0 for side in size)
        if not whole or size[0] * size[1] > MAX_PIXELS:
            raise DataError(
                f"{where}: 'height' and 'width' must be pixels, got {size}."
            )
        key, clip = _key(image, 'id', where), same_id(PurePosixPath(name).stem)
        check_id(clip, f"{where}, field 'file_name'")
        for name, value in (('id', key), ('file_name', clip)):
            former = places.setdefault((name, value), where)
            if former != where:
                raise DataError(
                    f"{where}, field '{name}': {value!r} is that of {former} as well. "
                    'Give each image an id and a name of its own.'
                )
        images[key] = (clip, size)
    if not images:
        raise DataError(f"{path}: 'images' is empty. List the annotated images.")
    return images


def coco_labels(path: str) -> dict[str, dict]:
    """Reads the sounding objects of each image of a COCO instances file.

    All annotations of an image are taken as sounding. The id is the ``file_name`` of
    the image without folder and ending; ``categories`` may be missing.

    Returns:
        dict[str, dict]: By id of the annotated images: ``bboxes``, normalised
        x1 y1 x2 y2; ``mask``, the union of the segmentations as a COCO run-length
        encoding, None unless every annotation has one; ``category``, None if there are
        several; ``objects``, each annotation's ``bbox``, ``category`` and
        ``sounding``; ``height`` and ``width`` of the annotated image in pixels.
    """
    content = read_json(path)
    images = coco_images(content, path)
    names = {}
    for where, category in _items({'categories': [], **content}, 'categories', path):
        number = _key(category, 'id', where)
        if number in names:
            raise DataError(f"{where}, field 'id': {number!r} is there twice.")
        names[number] = str(category.get('name'))
    found = defaultdict(list)
    for where, annotation in _items(content, 'annotations', path):
        key, category = _reference(annotation, 'image', images, where), None
        if names:
            category = names[_reference(annotation, 'category', names, where)]
        found[key].append((where, annotation, category))
    labels = {}
    for key, annotations in found.items():
        clip, size = images[key]
        objects, masks = [], []
        for where, annotation, category in annotations:
            corners = coco_box(annotation, size, where)
            if clip_boxes([corners])[2]:
                raise DataError(
                    f"{where}, field 'bbox': {annotation['bbox']} has no area in the "
                    f'image of {size[1]} x {size[0]}. Correct or remove it.'
                )
            objects.append({'category': category, 'bbox': corners, 'sounding': True})
            masks.append(coco_segmentation(annotation, size, where))
        categories = {one['category'] for one in objects}
        complete = all(mask is not None for mask in masks)
        labels[clip] = {
            'bboxes': [one['bbox'] for one in objects],
            'mask': encode_rle(np.maximum.reduce(masks)) if complete else None,
            'category': categories.pop() if len(categories) == 1 else None,
            'objects': objects,
            'height': size[0],
            'width': size[1],
        }
    return labels


def check_sizes(
    labels: Mapping[str, dict], frames: Mapping[str, str], source: str
) -> None:
    """Refuses images (:func:`coco_labels`) of other proportions than the frames.

    They were rotated, as by editors that treat EXIF rotation differently, or have bars.
    """
    wrong, unreadable = check_shapes(labels, frames)
    if unreadable:
        raise DataError(next(iter(unreadable.values())))
    if wrong:
        named = '; '.join(list(wrong.values())[:3])
        more = f' and {len(wrong) - 3} more' if len(wrong) > 3 else ''
        raise DataError(
            f'{source}: {named}{more}. Annotate the frames as they are displayed.'
        )


def coco_box(annotation: Mapping, size: tuple[int, int], where: str) -> list[float]:
    """Reads the box of an annotation as x1 y1 x2 y2, shares of the image ``size``."""
    where = f"{where}, field 'bbox'"
    form = '[x, y, width, height] in pixels'
    x, y, w, h = box = parse_box(annotation.get('bbox'), where, form)
    height, width = size
    corners = [x / width, y / height, (x + w) / width, (y + h) / height]
    if not all(map(math.isfinite, corners)):
        raise DataError(f'{where} must be {form}, got {box}.')
    return corners


def reaches_out(box: Sequence[float]) -> bool:
    """Tells whether a normalised box is not within the frame, apart from rounding."""
    return min(box) < -1e-6 or max(box) > 1 + 1e-6


def coco_segmentation(
    annotation: Mapping, size: tuple[int, int], where: str
) -> np.ndarray | None:
    """Decodes polygons or a run-length encoding; None if there is neither."""
    value, where = annotation.get('segmentation'), f"{where}, field 'segmentation'"
    if value in (None, []):
        return None
    if isinstance(value, dict):
        if tuple(check_rle(value, where)['size']) != size:
            raise DataError(f'{where} has the size {value["size"]}, the image {size}.')
        return decode_rle(value, where)
    if not isinstance(value, list) or not all(map(_is_polygon, value)):
        raise DataError(
            f'{where} must be polygons [x1, y1, x2, y2, x3, y3, ...] in pixels, or a '
            'run-length encoding.'
        )
    rles = coco_mask.frPyObjects(value, *size)
    return coco_mask.decode(coco_mask.merge(rles))


def _is_polygon(value: Any) -> bool:
    if not isinstance(value, list) or len(value) < 6 or len(value) % 2:
        return False
    return all(type(v) in (int, float) and abs(v) < 1e6 for v in value)


def _items(content: Mapping, field: str, path: str) -> list[tuple[str, dict]]:
    """Lists the objects of a field, each with its place in the file."""
    values = content.get(field)
    if not isinstance(values, list):
        raise DataError(f"{path} must hold a list '{field}'.")
    items = [(f'{path}: {field}[{n}]', value) for n, value in enumerate(values)]
    for where, value in items:
        if not isinstance(value, dict):
            raise DataError(f'{where} must be an object, got {value!r}.')
    return items


def _key(value: Mapping, field: str, where: str) -> int | str:
    """Reads an id that other entries refer to."""
    key = value.get(field)
    if isinstance(key, bool) or not isinstance(key, int | str):
        raise DataError(f"{where}, field '{field}' must be a number, got {key!r}.")
    return key


def _reference(annotation: Mapping, kind: str, known: Mapping, where: str) -> int | str:
    """Reads the id of the image or category of an annotation."""
    key = _key(annotation, f'{kind}_id', where)
    if key not in known:
        raise DataError(f"{where}, field '{kind}_id': there is no {kind} {key!r}.")
    return key


def mask_labels(folder: Path) -> tuple[dict[str, dict], list[str]]:
    """Reads mask images ``ID.png``, such as those of AVSBench, below a folder.

    Each name must occur once.

    Returns:
        tuple[dict[str, dict], list[str]]: By id ``mask``, a COCO run-length encoding,
        and ``bboxes``, the box around it, normalised x1 y1 x2 y2; and the ids of black
        masks, which label nothing.
    """
    paths: dict[str, Path] = {}
    for path in files_below(folder):
        if path.suffix != '.png':
            continue
        sample_id = same_id(path.stem)
        if sample_id in paths:
            raise DataError(
                f'{path} and {paths[sample_id]} have the same name, so the same id. '
                'Name a folder in which each clip has one mask.'
            )
        paths[sample_id] = path
    if not paths:
        raise DataError(f'{folder}: holds no mask ID.png. Name the folder of masks.')
    labels, black = {}, []
    for sample_id, path in paths.items():
        mask = read_mask(path)
        if mask.any():
            labels[sample_id] = {'bboxes': [mask_box(mask)], 'mask': encode_rle(mask)}
        else:
            black.append(sample_id)
    return labels, black


def read_mask(path: Path) -> np.ndarray:
    """Reads a PNG of which pixels that are not black sound; transparency is ignored.

    Returns:
        np.ndarray: uint8 of shape (H, W) in {0, 1}.
    """
    image = decode_image(str(path), 'mask', cv2.IMREAD_UNCHANGED)
    if image.ndim == 3:
        image = image[:, :, :3].any(axis=2)
    return (image != 0).astype(np.uint8)
