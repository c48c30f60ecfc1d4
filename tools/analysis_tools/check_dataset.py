"""Checks a data set: lists, annotations, frames and sounds.

Exits with 0 if there are no problems, with 1 if there are some, and with 2 if a file
that was named cannot be used. Lists alone are enough to find clips that are both
trained on and evaluated.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence

from rich.progress import Progress

from mmxpl.datasets.av_dataset import AVDataset
from mmxpl.datasets.id_list import plain_clips
from mmxpl.datasets.inspection import (
    check_annotations,
    check_media,
    check_shapes,
    count_problems,
    format_report,
)
from mmxpl.datasets.splits import (
    ClipList,
    check_contents,
    check_lists,
    clean_lists,
    read_lists,
)
from mmxpl.utils.cli import make_folder, number_in, one_clear_error
from mmxpl.utils.files import write_result


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--data-root',
        metavar='DIR',
        help='folder with frames/ and audio/; without it no media file is looked for',
    )
    parser.add_argument(
        '--ann',
        metavar='FILE',
        help="vggss.json, a JSON file with 'data_list', or the folder of "
        "Flickr-SoundNet's XML files",
    )
    for split, what in (
        ('train', 'training clips, labeled and unlabeled ones in a list each'),
        ('val', 'validation clips'),
        ('test', 'test clips, also pairs (video,audio,label)'),
    ):
        parser.add_argument(
            f'--{split}-list', nargs='+', default=[], metavar='L', help=f'ids of {what}'
        )
    parser.add_argument(
        '--deep',
        action='store_true',
        help='decode every frame and sound; also finds silence, channels that cancel '
        'each other when mixed, and files with the same content; with the package '
        'simplejpeg also more of the JPEGs of which bytes were overwritten',
    )
    parser.add_argument(
        '--workers',
        type=number_in(1),
        default=os.cpu_count(),
        help='threads that read files',
    )
    parser.add_argument('--json', metavar='OUT', help='write the whole report there')
    parser.add_argument(
        '--write-clean',
        metavar='DIR',
        help='write the lists there without double, missing, unreadable and leaking '
        'clips',
    )
    args = parser.parse_args(argv)
    lists = args.train_list + args.val_list + args.test_list
    if not (lists or args.data_root or args.ann):
        parser.error('name lists, --ann or --data-root')
    if args.deep and not args.data_root:
        parser.error('--deep needs --data-root')
    if args.write_clean and not lists:
        parser.error('--write-clean needs a list')
    return args


def open_dataset(data_root: str | None, ann: str | None) -> AVDataset:
    """Chooses the reader of a layout by its annotations, without reading yet."""
    # imported late, so that --help is quick
    from mmxpl.datasets import AVJsonDataset, FlickrSoundNetDataset, VGGSSDataset
    from mmxpl.datasets.json_io import read_json

    options = dict(data_root=data_root or '', lazy_init=True)
    if ann is None:
        return VGGSSDataset(**options)
    options.update(ann_file=os.path.abspath(ann), labeled=True)
    if os.path.isdir(ann):
        return FlickrSoundNetDataset(**options)
    kind = VGGSSDataset if isinstance(read_json(ann), list) else AVJsonDataset
    return kind(**options)


def examine(args: argparse.Namespace, lists: Sequence[ClipList]) -> dict:
    """Runs the checks of the command line and returns the report."""
    report: dict = {}
    if lists:
        report['lists'], report['leaks'] = check_lists(lists)
    if not (args.ann or args.data_root):
        return report
    dataset = open_dataset(args.data_root, args.ann)
    annotations = dataset.read_annotations()
    if args.ann:
        later = (c for one in lists if one.split != 'train' for c in one.clips)
        evaluated = {c.sample_id for c in later if c.is_sounding}
        report['annotations'] = check_annotations(annotations, evaluated)
    if args.data_root:
        if lists:
            clips = list(dict.fromkeys(clip for one in lists for clip in one.clips))
        else:
            clips = plain_clips(dataset.default_ids(annotations))
        frames, sounds, missing = dataset.find_media(clips, annotations)
        found = zip(clips, frames, sounds, strict=True)
        media = {c.sample_id: (f, s) for c, f, s in found if f and s}
        report['missing'] = {reason: ids for reason, ids in missing.items() if ids}
        total = len({sound for _, sound in media.values()})
        if args.deep:
            total += len({frame for frame, _ in media.values()})
        known = dataset.frame_times(annotations)
        times = {c.sample_id: known[c.audio_id] for c in clips if c.audio_id in known}
        with Progress(disable=not sys.stderr.isatty()) as progress:
            row = progress.add_task('media files', total=total)
            report['media'] = check_media(
                media, args.deep, args.workers, lambda: progress.advance(row), times
            )
        if args.ann:
            frames = {
                c.frame_id: media[c.sample_id][0] for c in clips if c.sample_id in media
            }
            other, unreadable = check_shapes(annotations, frames)
            report['annotations']['other_shape'] = list(other)
            for sample_id, reason in unreadable.items():
                report['media']['unreadable'].setdefault(sample_id, reason)
        if args.deep and lists:
            same = report['media']['same_frame'] + report['media']['same_sound']
            report['content_leaks'] = check_contents(lists, same)
    return report


def main(argv: Sequence[str] | None = None) -> int:
    """Checks, reports and, if requested, writes clean lists."""
    args = parse_args(argv)
    with one_clear_error():
        lists = read_lists(
            dict(train=args.train_list, val=args.val_list, test=args.test_list)
        )
        if args.write_clean:
            make_folder(args.write_clean, '--write-clean')
        report = examine(args, lists)
        report['problems'] = count_problems(report)
        print(format_report(report))
        if args.json:
            write_result(args.json, json.dumps(report, indent=1) + '\n')
        if args.write_clean:
            unusable = {i for ids in report.get('missing', {}).values() for i in ids}
            unusable |= set(report.get('media', {}).get('unreadable', ()))
            facts = report.get('annotations', {})
            unusable |= {i for key in ('empty', 'bad_mask') for i in facts.get(key, ())}
            same = [g for gs in report.get('content_leaks', {}).values() for g in gs]
            for path, new, old in clean_lists(lists, unusable, args.write_clean, same):
                print(f'{path}: {new} of {old} lines')
    return 1 if report['problems'] else 0


if __name__ == '__main__':
    sys.exit(main())
