"""Reads boxes and masks of a COCO annotation file."""

import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from mmxpl.utils import DataError

from ..annotations import check_rle, decode_rle, parse_boxes, read_json
from ..id_list import refuse_duplicates, same_id
from ..image_io import image_size, same_shape
from ..media import MAX_PIXELS


def coco_labels(path: str) -> dict[str, dict]:
    """Reads what sounds in each image of a COCO instances file.

    All annotations of an image are taken as sounding. The id is the image's
    ``file_name`` without folder and ending.

    Args:
        path (str): the file, with ``images``, ``annotations`` and perhaps
            ``categories``.

    Returns:
        dict[str, dict]: By id, of images with annotations: ``bboxes``,
        normalised x1 y1 x2 y2; ``mask``, the union of the segmentations as a
        COCO run-length encoding, None unless every annotation has one;
        ``category``, None if there are several; ``objects``, ``bbox`` and
        ``category`` of each annotation; and ``height`` and ``width`` of the image
        that was annotated.

    Raises:
        DataError: If the file has another form.
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
    """Brings the annotations of one image together."""
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
        union = coco_mask.encode(np.asfortranarray(np.maximum.reduce(masks)))
        union = {'size': [height, width], 'counts': union['counts'].decode('ascii')}
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
    """Makes sure that what was annotated are the frames.

    Boxes are normalised, so a smaller or larger copy of the frame will do. One that is
    turned (an editor that heeds EXIF rotation, or does not) or has bars will not.

    Args:
        labels (Mapping[str, dict]): from :func:`coco_labels`.
        frames (Mapping[str, str]): file of each of these clips.
        source (str): the annotation file, for the message.

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
    """Decodes polygons or a run-length encoding; None where there is neither."""
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
    """Lists the objects of a field, each with where it stands."""
    values = content.get(field)
    if not isinstance(values, list):
        raise DataError(f"{path} must hold a list '{field}'.")
    for n, value in enumerate(values):
        if not isinstance(value, dict):
            raise DataError(f'{path}: {field}[{n}] must be an object, got {value!r}.')
    return [(f'{path}: {field}[{n}]', value) for n, value in enumerate(values)]


def _key(value: Mapping, field: str, where: str) -> int | str:
    """Reads a number or name that others refer to."""
    key = value.get(field)
    if isinstance(key, bool) or not isinstance(key, int | str):
        raise DataError(f"{where}, field '{field}' must be a number, got {key!r}.")
    return key
