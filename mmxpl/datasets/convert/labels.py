"""Labels of other formats: COCO instance files and folders of mask images."""

import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from mmxpl.utils import DataError

from ..annotations import (
    check_rle,
    decode_rle,
    encode_rle,
    mask_box,
    parse_boxes,
    read_json,
)
from ..id_list import refuse_duplicates, same_id
from ..image_io import decode_image, image_size, read_media_bytes, same_shape
from ..media import MAX_PIXELS


def coco_labels(path: str) -> dict[str, dict]:
    """Reads the sounding objects of each image of a COCO instances file.

    All annotations of an image are taken as sounding. The id is the ``file_name`` of
    the image without folder and ending.

    Args:
        path (str): File with ``images``, ``annotations`` and optionally
            ``categories``.

    Returns:
        dict[str, dict]: By id of the annotated images: ``bboxes``, normalised
        x1 y1 x2 y2; ``mask``, the union of the segmentations as a COCO run-length
        encoding, None unless every annotation has one; ``category``, None if there are
        several; ``objects``, ``bbox`` and ``category`` of each annotation; ``height``
        and ``width`` of the annotated image in pixels.

    Raises:
        DataError: If the file is malformed.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f'{path} must be an object, got {type(content).__name__}.')
    images = {}
    for where, image in _items(content, 'images', path):
        name, size = image.get('file_name'), (image.get('height'), image.get('width'))
        if not isinstance(name, str) or not PurePosixPath(name).stem:
            raise DataError(f"{where}, field 'file_name' must be a file, got {name!r}.")
        whole = all(type(side) is int and side > 0 for side in size)
        if not whole or size[0] * size[1] > MAX_PIXELS:
            raise DataError(
                f"{where}: 'height' and 'width' must be pixels, got {size}."
            )
        images[_key(image, 'id', where)] = (same_id(PurePosixPath(name).stem), size)
    refuse_duplicates((stem for stem, _ in images.values()), path)
    names = {
        _key(category, 'id', where): str(category.get('name'))
        for where, category in _items({'categories': [], **content}, 'categories', path)
    }
    found = defaultdict(list)
    for where, annotation in _items(content, 'annotations', path):
        key = _key(annotation, 'image_id', where)
        if key not in images:
            raise DataError(f"{where}, field 'image_id': there is no image {key!r}.")
        category = None
        if names:
            number = _key(annotation, 'category_id', where)
            if number not in names:
                raise DataError(
                    f"{where}, field 'category_id': there is no category {number!r}."
                )
            category = names[number]
        found[key].append((where, annotation, category))
    return {
        images[key][0]: _label(annotations, images[key][1])
        for key, annotations in found.items()
    }


def _label(annotations: list[tuple], size: tuple[int, int]) -> dict:
    """Combines the annotations of one image."""
    height, width = size
    objects, masks = [], []
    for where, annotation, category in annotations:
        box = parse_boxes([annotation.get('bbox')], f"{where}, field 'bbox'")[0]
        x, y, w, h = box
        corners = [x / width, y / height, (x + w) / width, (y + h) / height]
        if not all(map(math.isfinite, corners)):
            raise DataError(
                f"{where}, field 'bbox' must be [x, y, width, height] in pixels, got "
                f'{box}.'
            )
        objects.append({'category': category, 'bbox': corners})
        masks.append(_mask(annotation.get('segmentation'), size, where))
    categories = {one['category'] for one in objects}
    union = None
    if all(mask is not None for mask in masks):
        union = encode_rle(np.maximum.reduce(masks))
    return {
        'bboxes': [one['bbox'] for one in objects],
        'mask': union,
        'category': categories.pop() if len(categories) == 1 else None,
        'objects': objects,
        'height': height,
        'width': width,
    }


def check_sizes(
    labels: Mapping[str, dict], frames: Mapping[str, str], source: str
) -> None:
    """Checks that the annotated images have the proportions of the frames.

    Boxes are normalised, so the image may be a smaller or larger copy of the frame, but
    not a rotated one (as with editors that treat EXIF rotation differently) or one with
    bars.

    Args:
        labels (Mapping[str, dict]): Result of :func:`coco_labels`.
        frames (Mapping[str, str]): Frame file by id.
        source (str): Annotation file, for the message.

    Raises:
        DataError: If the sizes of a frame and of its image differ in proportion, or a
            frame cannot be read.
    """
    wrong = []
    for sample_id, label in labels.items():
        annotated = (label['height'], label['width'])
        shown = image_size(frames[sample_id])
        if not same_shape(annotated, shown):
            wrong.append(
                f"'{sample_id}' was annotated at {annotated[1]} x {annotated[0]}, its "
                f'frame is {shown[1]} x {shown[0]}'
            )
    if wrong:
        more = f' and {len(wrong) - 3} more' if len(wrong) > 3 else ''
        raise DataError(
            f'{source}: {"; ".join(wrong[:3])}{more}. Annotate the frames as they are '
            'displayed.'
        )


def _mask(value: Any, size: tuple[int, int], where: str) -> np.ndarray | None:
    """Decodes polygons or a run-length encoding; None if there is neither."""
    where = f"{where}, field 'segmentation'"
    if value is None or value == []:
        return None
    if isinstance(value, dict):
        if tuple(check_rle(value, where)['size']) != size:
            raise DataError(f'{where} has the size {value["size"]}, the image {size}.')
        return decode_rle(value, where)
    polygons = value if isinstance(value, list) else [None]
    for polygon in polygons:
        numeric = isinstance(polygon, list) and all(
            type(v) in (int, float) and abs(v) < 1e6 for v in polygon
        )
        if not numeric or len(polygon) < 6 or len(polygon) % 2:
            raise DataError(
                f'{where} must be polygons [x1, y1, x2, y2, x3, y3, ...] in pixels, or '
                'a run-length encoding.'
            )
    rles = coco_mask.frPyObjects(polygons, *size)
    return coco_mask.decode(coco_mask.merge(rles))


def _items(content: Mapping, field: str, path: str) -> list[tuple[str, dict]]:
    """Lists the objects of a field, each with its place in the file."""
    values = content.get(field)
    if not isinstance(values, list):
        raise DataError(f"{path} must hold a list '{field}'.")
    for n, value in enumerate(values):
        if not isinstance(value, dict):
            raise DataError(f'{path}: {field}[{n}] must be an object, got {value!r}.')
    return [(f'{path}: {field}[{n}]', value) for n, value in enumerate(values)]


def _key(value: Mapping, field: str, where: str) -> int | str:
    """Reads an id that other entries refer to."""
    key = value.get(field)
    if isinstance(key, bool) or not isinstance(key, int | str):
        raise DataError(f"{where}, field '{field}' must be a number, got {key!r}.")
    return key


def mask_labels(folder: Path) -> tuple[dict[str, dict], list[str]]:
    """Reads mask images, such as those of AVSBench.

    Pixels that are not black sound, whatever their colour; transparency is ignored. The
    id is the name of the file without ending.

    Args:
        folder (Path): Folder that is searched in depth for PNG files.

    Returns:
        tuple[dict[str, dict], list[str]]: By id ``mask``, a COCO run-length encoding,
        and ``bboxes``, the box around it, normalised x1 y1 x2 y2; and the ids of black
        masks, which label nothing.

    Raises:
        DataError: If there is no such file, one cannot be read, or two have the same
            name.
    """
    paths: dict[str, Path] = {}
    for path in sorted(folder.rglob('*.png')):
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
    """Reads a mask.

    Args:
        path (Path): PNG file; a pixel that is not black sounds.

    Returns:
        np.ndarray: uint8 of shape (H, W) in {0, 1}.

    Raises:
        DataError: If it cannot be read.
    """
    data = read_media_bytes(str(path), 'mask')
    image = decode_image(str(path), data, 'mask', cv2.IMREAD_UNCHANGED)
    if image.ndim == 3:
        image = image[:, :, :3].any(axis=2)
    return (image != 0).astype(np.uint8)
