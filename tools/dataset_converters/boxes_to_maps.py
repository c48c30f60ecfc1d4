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
import zipfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from mmxpl.datasets.convert import (
    coco_box,
    coco_images,
    coco_segmentation,
    reaches_out,
)
from mmxpl.datasets.json_io import read_json
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


def draw(
    item: dict, image: tuple[int, int], size: int, where: str
) -> tuple[np.ndarray, bool]:
    """Draws one detection of an image of (height, width) pixels.

    Returns a map (size, size) of the covered share of each cell, all zero for an empty
    mask; and whether the box reached out of the image and was cut.
    """
    mask = coco_segmentation(item, image, where)
    if mask is not None:
        mask = mask.astype(np.float32)
        return cv2.resize(mask, (size, size), interpolation=cv2.INTER_AREA), False
    x1, y1, x2, y2 = corners = coco_box(item, image, where)
    cells = np.arange(size)
    down, across = (
        np.minimum(high * size, cells + 1) - np.maximum(low * size, cells)
        for low, high in ((y1, y2), (x1, x2))
    )
    drawn = np.outer(down.clip(0), across.clip(0)).astype(np.float16)
    if not drawn.any():
        raise DataError(
            f"{where}, field 'bbox' covers nothing of the image of {image[1]} x "
            f'{image[0]} pixels, got {item["bbox"]}. Write x, y, width and height in '
            'pixels of that image, or leave the detection out.'
        )
    return drawn, reaches_out(corners)


def write_archive(path: Path, maps: dict[str, np.ndarray]) -> None:
    """Writes maps as numpy.savez_compressed, which has no room for some names."""
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        for clip, one in maps.items():
            with archive.open(f'{clip}.npy', 'w') as file:
                np.lib.format.write_array(file, one)


def main(argv: Sequence[str] | None = None) -> None:
    """Draws and reports."""
    args = parse_args(argv)
    with one_clear_error():
        if args.out.suffix != '.npz':
            raise DataError(f'--out {args.out}: the archive must be named .npz.')
        if args.out.exists() and not args.overwrite:
            raise DataError(f'{args.out}: exists already. Add --overwrite.')
        images = coco_images(read_json(args.images), args.images)
        results = read_json(args.results, 'file of results')
        if not isinstance(results, list):
            raise DataError(f'{args.results}: must be a list of detections.')
        if not results:
            raise DataError(f'{args.results}: the list of detections is empty.')
        maps, low, empty, beyond = {}, 0, 0, 0
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
            clip, image = images[key]
            drawn, cut = draw(item, image, args.size, where)
            if not drawn.any():
                empty += 1
                continue
            beyond += cut
            maps[clip] = np.maximum(maps.get(clip, 0), score * drawn).astype(np.float16)
        if not maps:
            raise DataError(
                f'{args.results}: no detection reaches --min-score, or all masks are '
                'empty.'
            )
        args.out.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(args.out, keep_suffix=True) as path:
            write_archive(path, maps)
        print(
            f'{args.out}: maps of {len(maps)} of {len(images)} images, of '
            f'{len(results) - low - empty} detections; {low} score less than '
            f'{args.min_score:g}'
        )
        if empty:
            print(f'{empty} masks are empty and are left out')
        if beyond:
            print(f'{beyond} boxes reach out of their image and were cut')


if __name__ == '__main__':
    main()
