"""Lists the frames of AVSBench's S4 or MS3, as distributed, for AVJsonDataset.

ROOT holds visual_frames/, gt_masks/, audio_wav/ and a meta csv. Every second of a
video is a clip: its frame, the sound around it, and its mask where there is one.
Frames and sounds stay where they are; ROOT/annotations.json names them, with the
masks as run-length encodings, and ROOT/lists/ has labeled.txt and unlabeled.txt (the
training frames with and without mask; S4 has masks of first frames alone), val.txt and
test.txt. See docs/data/avsbench.md.
"""

import argparse
import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mmxpl.datasets.annotations import encode_rle
from mmxpl.datasets.convert import read_mask
from mmxpl.datasets.id_list import format_list, plain_clips, refuse_duplicates
from mmxpl.utils import DataError
from mmxpl.utils.cli import one_clear_error
from mmxpl.utils.files import write_result
from mmxpl.utils.ids import name_some

FRAMES, MASKS, SOUNDS = 'visual_frames', 'gt_masks', 'audio_wav'
SPLITS = ('train', 'val', 'test')
SECONDS = 5


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('root', type=Path, metavar='ROOT', help='s4_data or ms3_data')
    parser.add_argument(
        '--csv',
        type=Path,
        metavar='FILE',
        help='s4_meta_data.csv or ms3_meta_data.csv (default: the one in ROOT)',
    )
    parser.add_argument(
        '--sound',
        choices=('second', 'clip'),
        default='second',
        help="what a frame's sound is centred at: its second (default), or the middle "
        'of the video; LoadAudio(duration=...) says how much of it is heard',
    )
    parser.add_argument(
        '--missing',
        choices=('error', 'skip'),
        default='error',
        help='what to do about videos without a frame, sound or mask (default: error)',
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='write over files of a former call'
    )
    return parser.parse_args(argv)


def read_videos(path: Path) -> list[dict[str, str | None]]:
    """Reads ``name``, ``split`` and ``category`` (or None) of the videos of a meta csv.

    The first column is the name; the others are found by their names.
    """
    try:
        with open(path, newline='', encoding='utf-8-sig') as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f'{path}: the meta csv cannot be read ({error}). Name it with --csv.'
        ) from error
    if not rows or 'split' not in rows[0]:
        raise DataError(f"{path}: has no row, or no column 'split'.")
    first = next(iter(rows[0]))
    videos = [
        dict(name=row[first], split=row['split'], category=row.get('category'))
        for row in rows
    ]
    for number, video in enumerate(videos, 2):
        if video['split'] not in SPLITS:
            raise DataError(
                f"{path}, line {number}: 'split' must be one of {SPLITS}, got "
                f'{video["split"]!r}.'
            )
    refuse_duplicates((video['name'] for video in videos), path)
    return videos


def entries_of(root: Path, video: Mapping, sound: str) -> Iterator[dict]:
    """Yields the entries (AVJsonDataset) of the frames of a video.

    A missing frame, sound or mask that the split has is a DataError.
    """
    name, split, category = video['name'], video['split'], video['category'] or ''
    below = Path(split, category)
    audio = root / SOUNDS / below / f'{name}.wav'
    # S4 has its frames by split and category, MS3 by name alone
    folders = [root / FRAMES / below / name, root / FRAMES / name]
    folder = next((one for one in folders if one.is_dir()), folders[0])
    masks = root / MASKS / below / name
    if not audio.is_file():
        raise DataError(f'{audio}: there is no such sound.')
    # S4 has one mask of a training video
    labeled = {n for n in range(1, SECONDS + 1) if (masks / f'{name}_{n}.png').exists()}
    if not labeled or (split != 'train' and len(labeled) < SECONDS):
        raise DataError(f'{masks}: {len(labeled)} of {SECONDS} masks are there.')
    for second in range(1, SECONDS + 1):
        files = [folder / f'{name}{ending}_{second}.png' for ending in ('', '.mp4')]
        frame = next((file for file in files if file.is_file()), None)
        if frame is None:
            raise DataError(f'{files[0]}: there is no such frame.')
        entry = dict(
            sample_id=f'{name}_{second}',
            video_id=name,
            img_path=frame.relative_to(root).as_posix(),
            audio_path=audio.relative_to(root).as_posix(),
            category=video['category'],
        )
        if sound == 'second':
            entry['frame_time'] = second - 0.5
        if second in labeled:
            entry['mask'] = encode_rle(read_mask(masks / f'{name}_{second}.png'))
        yield entry


def main(argv: Sequence[str] | None = None) -> None:
    """Lists the frames and reports."""
    args = parse_args(argv)
    with one_clear_error():
        table = args.csv
        if table is None:
            found = sorted(args.root.glob('*_meta_data.csv'))
            if len(found) != 1:
                raise DataError(
                    f'{args.root}: {len(found)} files are *_meta_data.csv. Name one '
                    'with --csv.'
                )
            table = found[0]
        annotations, lists = args.root / 'annotations.json', args.root / 'lists'
        for path in (annotations, lists):
            if path.exists() and not args.overwrite:
                raise DataError(f'{path}: exists already. Add --overwrite.')
        data, ids, skipped = [], {'labeled': [], 'unlabeled': []}, []
        videos = read_videos(table)
        for video in videos:
            try:
                entries = list(entries_of(args.root, video, args.sound))
            except DataError as error:
                if args.missing == 'error':
                    raise DataError(
                        f'{error} Restore it, or add --missing skip.'
                    ) from error
                skipped.append(video['name'])
                continue
            data += entries
            for entry in entries:
                part = 'labeled' if 'mask' in entry else 'unlabeled'
                part = part if video['split'] == 'train' else video['split']
                ids.setdefault(part, []).append(entry['sample_id'])
        if not data:
            raise DataError(f'{args.root}: no video of {table} is complete.')
        classes = sorted({entry['category'] for entry in data} - {None})
        content = dict(metainfo=dict(classes=classes), data_list=data)
        texts = {annotations: json.dumps(content) + '\n'}
        for part, names in ids.items():
            if names:
                path = lists / f'{part}.txt'
                texts[path] = format_list(plain_clips(names), path)
        for path, text in texts.items():
            write_result(path, text)
        counts = ', '.join(f'{len(names)} {part}' for part, names in ids.items())
        print(f'{annotations}: {len(data)} frames of {len(videos)} videos: {counts}')
        if skipped:
            print(f'{len(skipped)} videos are left out ({name_some(skipped)})')


if __name__ == '__main__':
    main()
