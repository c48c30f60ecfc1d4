"""Reads folders of mask pictures, as AVSBench has them."""

from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from mmxpl.utils import DataError

from ..id_list import same_id
from ..image_io import decode_image, read_media_bytes


def mask_labels(folder: Path) -> tuple[dict[str, dict], list[str]]:
    """Reads what sounds from the PNG files below a folder.

    A pixel that is not black sounds, whatever its colour; transparency does not
    matter. The id is the file's name without ending.

    Args:
        folder (Path): searched in depth.

    Returns:
        tuple[dict[str, dict], list[str]]: By id, ``mask``, a COCO run-length
        encoding, and ``bboxes``, the box around it, normalised x1 y1 x2 y2; and
        the ids of black masks, which label nothing.

    Raises:
        DataError: If there is no such file, if one cannot be read, or if two
            have one name.
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
        mask = _read_mask(path)
        if mask.any():
            labels[sample_id] = _label(mask)
        else:
            black.append(sample_id)
    return labels, black


def _read_mask(path: Path) -> np.ndarray:
    """Reads one mask, uint8 (H, W) in {0, 1}."""
    data = read_media_bytes(str(path), 'mask')
    image = decode_image(str(path), data, 'mask', cv2.IMREAD_UNCHANGED)
    if image.ndim == 3:
        image = image[:, :, :3].any(axis=2)
    return (image != 0).astype(np.uint8)


def _label(mask: np.ndarray) -> dict:
    """Encodes a mask and draws the box around it."""
    height, width = mask.shape
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    rle = coco_mask.encode(np.asfortranarray(mask))
    box = [
        int(columns[0]) / width,
        int(rows[0]) / height,
        int(columns[-1] + 1) / width,
        int(rows[-1] + 1) / height,
    ]
    return {
        'bboxes': [box],
        'mask': {'size': [height, width], 'counts': rle['counts'].decode('ascii')},
    }
