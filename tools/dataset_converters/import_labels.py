"""Adds boxes and masks to a JSON list of clips.

They come from a COCO annotation file, or from a folder of mask pictures as AVSBench
has them. Images and clips meet by name: the image's file name without folder and
ending is the clip's id. All that is annotated is taken as sounding. Writes a new
file that AVJsonDataset reads, and the lists of the clips that have labels now and of
those that have none, which split_labeled.py divides.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from mmxpl.datasets import AVJsonDataset
from mmxpl.datasets.convert import (
    check_sizes,
    coco_labels,
    mask_labels,
    reaches_out,
)
from mmxpl.datasets.id_list import format_list, plain_clips, same_id
from mmxpl.datasets.json_io import read_json
from mmxpl.utils import DataError
from mmxpl.utils.cli import one_clear_error
from mmxpl.utils.files import write_result
from mmxpl.utils.ids import name_some


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument('--coco', metavar='FILE', help='instances file of COCO')
    source.add_argument(
        '--masks', type=Path, metavar='DIR', help='folder of ID.png, black is silent'
    )
    parser.add_argument(
        '--clips',
        required=True,
        metavar='FILE',
        help='clips.json, as extract_videos.py writes it',
    )
    parser.add_argument('--out', required=True, type=Path, metavar='FILE')
    parser.add_argument(
        '--list',
        required=True,
        type=Path,
        metavar='FILE',
        help='list to write, of the clips with labels',
    )
    parser.add_argument(
        '--unlabeled-list',
        type=Path,
        metavar='FILE',
        help='list to write, of the others (default: without_labels.txt beside --list)',
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='write over files of a former call'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Merges the labels and reports."""
    args = parse_args(argv)
    with one_clear_error():
        others = args.unlabeled_list or args.list.with_name('without_labels.txt')
        for path in (args.out, args.list, others):
            if path.exists() and not args.overwrite:
                raise DataError(
                    f'{path}: exists already. Name another file, or add --overwrite.'
                )
        AVJsonDataset(ann_file=args.clips, lazy_init=True).read_annotations()
        content = read_json(args.clips)
        entries = content['data_list']
        for entry in entries:
            entry['sample_id'] = same_id(entry['sample_id'])
        source = args.coco or args.masks
        labels, black = (
            (coco_labels(args.coco), []) if args.coco else mask_labels(args.masks)
        )
        if not labels:
            raise DataError(f'{source}: holds no label.')
        ids = [entry['sample_id'] for entry in entries]
        unknown = sorted(set(labels) - set(ids))
        if unknown:
            raise DataError(
                f'{source}: {len(unknown)} annotated images are no clip of '
                f'{args.clips} ({name_some(unknown)}). Name the images after the clips.'
            )
        folder = Path(args.clips).parent
        frames = {e['sample_id']: str(folder / e['img_path']) for e in entries}
        check_sizes(labels, frames, source)
        for entry in entries:
            entry.update(labels.get(entry['sample_id'], {}))
        classes = set(content['metainfo'].get('classes', ()))
        objects = (o for one in labels.values() for o in one.get('objects', ()))
        classes |= {o['category'] for o in objects}
        content['metainfo']['classes'] = sorted(classes - {None})
        with_labels = [i for i in ids if i in labels]
        without = [i for i in ids if i not in labels]
        texts = {
            args.out: json.dumps(content, indent=1) + '\n',
            args.list: format_list(plain_clips(with_labels), args.list),
            others: format_list(plain_clips(without), others),
        }
        for path, text in texts.items():
            write_result(path, text)
        masks = sum(one['mask'] is not None for one in labels.values())
        boxes = [box for one in labels.values() for box in one['bboxes']]
        if black:
            print(f'{source}: {len(black)} masks are black ({name_some(black)})')
        print(
            f'{args.out}: {len(labels)} of {len(ids)} clips have labels now: '
            f'{len(boxes)} boxes, {masks} clips with masks'
        )
        if cut := sum(map(reaches_out, boxes)):
            print(
                f'{cut} boxes reach out of their image and are cut where they are read'
            )


if __name__ == '__main__':
    main()
