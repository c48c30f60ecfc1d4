"""Draws the detections of another model as maps, an archive of id to map.

RESULTS is a JSON list in COCO's results format, as mmdet's CocoMetric writes it
(outfile_prefix): image_id, score, and bbox (x, y, width, height in pixels) or
segmentation (run-length encoding). IMAGES is the COCO file whose images were detected
in: id, file_name, width, height; the id of a clip is the file name without folder and
ending. In a map each detection has the value of its score, the higher one where two
meet. Images without a detection have no map.

The archive is read by default_hooks.pseudo_label.init_from, as the first pseudo-labels
of unlabeled clips, and by eval_maps.py.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from mmxpl.datasets.annotations import (
    check_rle,
    clip_boxes,
    decode_rle,
    parse_boxes,
    read_json,
)
from mmxpl.datasets.id_list import check_id, refuse_duplicates, same_id
from mmxpl.structures import rasterize_boxes
from mmxpl.utils import DataError
from mmxpl.utils.cli import number_in, one_clear_error
from mmxpl.utils.files import atomic_path


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('results', type=Path, metavar='RESULTS')
    parser.add_argument('images', type=Path, metavar='IMAGES')
    parser.add_argument('--out', required=True, type=Path, metavar='FILE.npz')
    parser.add_argument(
        '--min-score',
        type=number_in(0, 1, float),
        default=0.0,
        help='leave out what scores less',
    )
    parser.add_argument(
        '--size',
        type=number_in(1, 1024),
        default=56,
        help='side of a map (default: %(default)s)',
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='write over a former archive'
    )
    return parser.parse_args(argv)


def read_images(path: Path) -> dict[int | str, tuple[str, int, int]]:
    """Reads id, width and height of the images.

    Args:
        path (Path): COCO file.

    Returns:
        dict: Id of the clip, width and height by id of the image.

    Raises:
        DataError: If it is malformed, or two images belong to one clip.
    """
    content = read_json(path)
    items = content.get('images') if isinstance(content, dict) else None
    if not isinstance(items, list):
        raise DataError(f"{path}: must be an object with a list 'images'.")
    images = {}
    for n, item in enumerate(items):
        where = f'{path}: images[{n}]'
        name = item.get('file_name') if isinstance(item, dict) else None
        if not isinstance(name, str) or not PurePosixPath(name).stem:
            raise DataError(f"{where}, field 'file_name' must be a file, got {name!r}.")
        size = item.get('width'), item.get('height')
        if not all(type(side) is int and side > 0 for side in size):
            raise DataError(
                f"{where}: 'width' and 'height' must be pixels, got {size}."
            )
        clip = same_id(PurePosixPath(name).stem)
        check_id(clip, f"{where}, field 'file_name'")
        images[item.get('id')] = (clip, *size)
    refuse_duplicates((clip for clip, *_ in images.values()), path)
    return images


def draw(item: dict, width: int, height: int, size: int, where: str) -> np.ndarray:
    """Draws one detection.

    Args:
        item (dict): Item of the results.
        width (int): Width of the image in pixels.
        height (int): Its height.
        size (int): Side of the map.
        where (str): File and index, for messages.

    Returns:
        np.ndarray: (size, size) float32 in [0, 1], the covered share of each cell.

    Raises:
        DataError: If it has neither a box nor a mask.
    """
    if item.get('segmentation') is not None:
        rle = check_rle(item['segmentation'], f"{where}, field 'segmentation'")
        mask = decode_rle(rle, where).astype(np.float32)
        return cv2.resize(mask, (size, size), interpolation=cv2.INTER_AREA)
    x, y, w, h = parse_boxes([item.get('bbox')], f"{where}, field 'bbox'")[0]
    corners = [x / width, y / height, (x + w) / width, (y + h) / height]
    fine = rasterize_boxes(clip_boxes([corners])[0], 4 * size).numpy()
    return cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA)


def main(argv: Sequence[str] | None = None) -> None:
    """Draws and reports."""
    args = parse_args(argv)
    with one_clear_error():
        if args.out.suffix != '.npz':
            raise DataError(f'--out {args.out}: the archive must be named .npz.')
        if args.out.exists() and not args.overwrite:
            raise DataError(f'{args.out}: exists already. Add --overwrite.')
        images, results = read_images(args.images), read_json(args.results)
        if not isinstance(results, list) or not results:
            raise DataError(f'{args.results}: must be a list of detections.')
        maps, low = {}, 0
        for n, item in enumerate(results):
            where = f'{args.results}[{n}]'
            key = item.get('image_id') if isinstance(item, dict) else None
            if not isinstance(key, int | str) or key not in images:
                raise DataError(f"{where}, field 'image_id' is not in {args.images}.")
            score = item.get('score')
            number = type(score) in (int, float) and math.isfinite(score)
            if not number or not 0 <= score <= 1:
                raise DataError(
                    f"{where}, field 'score' must be in [0, 1], got {score!r}."
                )
            if score < args.min_score:
                low += 1
                continue
            clip, width, height = images[key]
            drawn = score * draw(item, width, height, args.size, where)
            maps[clip] = np.maximum(maps.get(clip, 0), drawn).astype(np.float16)
        if not maps:
            raise DataError(f'{args.results}: no detection reaches --min-score.')
        args.out.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(args.out, keep_suffix=True) as path:
            np.savez_compressed(path, **maps)
        print(
            f'{args.out}: maps of {len(maps)} of {len(images)} images, of '
            f'{len(results) - low} detections; {low} score less than {args.min_score:g}'
        )


if __name__ == '__main__':
    main()
