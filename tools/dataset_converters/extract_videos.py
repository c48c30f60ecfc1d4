"""Extracts frames and sounds from a folder of videos, such as VGG-Sound.

Writes frames/ID.jpg, audio/ID.wav (16 kHz, mono), clips.json with the clips that
are complete (an ann_file of AVJsonDataset, without labels), and failed.csv with
the others and their reasons; both are written anew by each run. frame_times.csv
says when each frame is shown in its sound, for every clip of the folder. Frame and
sound are of one clock, the picture's: what the file does not store of the sound is
silence. The id is the file's name without ending; a video keeps the id that
frame_times.csv has for it. Interrupted, it goes on where it stopped.

Exit status: 0 if there are complete clips, though others may have been left out
(they are counted, and failed.csv lists them); 1 if there is none; 2 if an argument
or the folder cannot be used. See docs/data/vggss.md and docs/data/custom.md.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from mmxpl.datasets import read_id_list
from mmxpl.datasets.convert import convert_batch, lock_output, write_image, write_wav
from mmxpl.datasets.frame_times import FRAME_TIMES, FrameTime, FrameTimes
from mmxpl.datasets.id_list import MEDIA_SUFFIXES, is_listable, same_id
from mmxpl.datasets.media_cache import stamp
from mmxpl.datasets.video_io import MIDDLE, VIDEO_SUFFIXES, choose_videos, import_av
from mmxpl.datasets.video_sound import read_video_clip
from mmxpl.utils import DataError, hash_ids
from mmxpl.utils.cli import make_folder, number_in, one_clear_error
from mmxpl.utils.files import files_below, write_result
from mmxpl.utils.ids import name_some


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--videos', required=True, type=Path, metavar='DIR', help='searched in depth'
    )
    parser.add_argument('--out', required=True, type=Path, metavar='DIR')
    parser.add_argument(
        '--ids',
        nargs='+',
        metavar='LIST',
        help='convert these clips only; ids without a video fail',
    )
    parser.add_argument(
        '--frame-at',
        type=time,
        default=MIDDLE,
        metavar='SECONDS',
        help="of the frame, after the first one, or 'middle' (default)",
    )
    parser.add_argument(
        '--annotated-list',
        metavar='LIST',
        help='clips whose frame was annotated, such as vggss_test.csv',
    )
    parser.add_argument(
        '--annotated-at',
        type=time,
        metavar='SECONDS',
        help='time of their frame (default: 5, the 125th at 25 frames a second, which '
        'VGG-SS annotates)',
    )
    parser.add_argument(
        '--sample-rate', type=number_in(1000, 192000), default=16000, metavar='HZ'
    )
    parser.add_argument(
        '--quality', type=number_in(1, 100), default=95, help='of the JPEGs'
    )
    parser.add_argument(
        '--workers',
        type=number_in(1, 1024),
        default=os.cpu_count(),
        help='videos read at a time',
    )
    args = parser.parse_args(argv)
    if args.annotated_at is None:
        args.annotated_at = 5.0
    elif args.annotated_list is None:
        parser.error('--annotated-at: has no effect without --annotated-list')
    return args


def time(text: str) -> float | str:
    """Parses seconds, or 'middle'."""
    if text == MIDDLE:
        return text
    value = float(text)
    if not 0 <= value < float('inf'):
        raise ValueError
    return value


def find_videos(folder: Path) -> list[Path]:
    """Finds the videos below a folder, sorted."""
    if not folder.is_dir():
        raise DataError(f'--videos {folder}: is no folder. Name that of the videos.')
    found, others = choose_videos(files_below(folder))
    if others:
        print(f'{folder}: files that are no videos are left out ({others})')
    if not found:
        raise DataError(
            f'--videos {folder}: holds no file that ends in '
            f'{", ".join(VIDEO_SUFFIXES)}. Name the folder of the videos.'
        )
    return found


def escape(text: str) -> str:
    """Writes control characters, and what is no UTF-8, as escape sequences."""
    return text.encode('unicode_escape').decode()


def name_videos(paths: Sequence[Path], folder: Path, times: FrameTimes) -> dict:
    """Gives each video its id, by which it is found.

    Videos of an earlier run keep theirs. Of new ones of one name the first has it as
    its id; the id of another one has its ending, too, or its folder.
    """
    former = {time.video: i for i, time in reversed(times.known.items())}
    names = {path: path.relative_to(folder).as_posix() for path in paths}
    there, found = set(names.values()), {}
    for path, name in names.items():
        shown = Path(name if name.isprintable() else escape(name))
        ids = [same_id(i) for i in (shown.stem, shown.name, '_'.join(shown.parts))]
        sample_id = former.get(name)
        if sample_id is None:
            first = times.known.get(ids[0])
            if first and first.video not in there:
                raise DataError(
                    f"{path}: the id {ids[0]} is that of '{first.video}' in "
                    f'{times.path}, which is not below {folder}. Rename the new video '
                    'or choose another --out; if it is the same one, correct that row.'
                )
            free = (i for i in ids if i not in times.known and i not in found)
            sample_id = next(free, None)
        if sample_id is None:
            raise DataError(f'{path}: others have the ids {ids}. Rename the video.')
        if sample_id != ids[0]:
            print(
                f'{folder / shown}: has the name of another video; its id is '
                f'{sample_id}'
            )
        found[sample_id] = path
    return found


def write_clips(out: Path, ids: Sequence[str], times: dict[str, FrameTime]) -> None:
    """Writes complete clips as AVJsonDataset reads them, without labels."""
    entries = [
        dict(
            sample_id=i,
            img_path=f'frames/{i}.jpg',
            audio_path=f'audio/{i}.wav',
            frame_time=times[i].seconds,
        )
        for i in ids
    ]
    content = dict(metainfo=dict(task_name='avsl'), data_list=entries)
    write_result(out / 'clips.json', json.dumps(content, indent=1) + '\n')


def main(argv: Sequence[str] | None = None) -> int:
    """Converts the clips and reports."""
    args = parse_args(argv)
    with one_clear_error(), ExitStack() as stack:
        import_av()  # before the first of many clips
        paths = find_videos(args.videos)
        if args.ids:
            listed = (i for path in args.ids for i in read_id_list(path))
            ids = list(dict.fromkeys(listed))
        annotated = (
            set(read_id_list(args.annotated_list)) if args.annotated_list else set()
        )
        make_folder(args.out, '--out')
        stack.enter_context(lock_output(args.out))
        times = FrameTimes(args.out / FRAME_TIMES)
        videos = name_videos(paths, args.videos, times)
        if not args.ids:
            ids = list(videos)

        def outputs(sample_id: str) -> tuple[Path, Path]:
            files = (f'frames/{sample_id}.jpg', f'audio/{sample_id}.wav')
            return tuple(args.out / file for file in files)

        def name(sample_id: str) -> str:
            return videos[sample_id].relative_to(args.videos).as_posix()

        def stamp_of(sample_id: str) -> str:
            return ' '.join(map(str, stamp(str(videos[sample_id]))))

        changed = []
        for i in ids:
            with suppress(DataError):  # a clip is kept though its video is gone
                if i in videos and i in times.known:
                    known, found = times.known[i], stamp_of(i)
                    if known.stamp not in ('', found):
                        changed.append(i)
                    # of a run that kept no stamps; tidy() writes it
                    times.known[i] = known._replace(stamp=known.stamp or found)
        if changed:
            print(
                f'{len(changed)} videos changed since they were extracted, and are '
                f'extracted again; look at their labels ({name_some(changed)})'
            )

        current = times.known.keys() - set(changed)

        def is_complete(sample_id: str) -> bool:
            files = outputs(sample_id)
            return sample_id in current and all(path.is_file() for path in files)

        def convert(sample_id: str) -> None:
            if sample_id not in videos:
                raise DataError(f'{sample_id}: no video below {args.videos}.')
            path = str(videos[sample_id])
            if not (is_listable(sample_id) and name(sample_id).isprintable()):
                raise DataError(
                    f'{escape(path)}: no list of clips can hold this name. Rename the '
                    'file without control characters, blanks around its name and '
                    f'{", ".join(MEDIA_SUFFIXES)} before its ending.'
                )
            at = args.annotated_at if sample_id in annotated else args.frame_at
            found = stamp_of(sample_id)
            # all is read before anything is written
            clip = read_video_clip(path, args.sample_rate, at)
            frame_file, sound_file = outputs(sample_id)
            for file in (frame_file, sound_file):  # of an earlier run
                file.unlink(missing_ok=True)
            facts = (clip.frame_time, name(sample_id), clip.note, found)
            times.add(sample_id, FrameTime(*facts))
            write_image(frame_file, clip.image, args.quality)
            write_wav(sound_file, clip.wave, args.sample_rate)

        settings = dict(
            tool='extract_videos',
            clock='picture',
            frame_at=args.frame_at,
            annotated_at=args.annotated_at if annotated else None,
            annotated_list=hash_ids(annotated) if annotated else None,
            sample_rate=args.sample_rate,
            quality=args.quality,
        )
        result = convert_batch(
            args.out, ids, is_complete, convert, settings, args.workers
        )
        if result.done:
            times.tidy()
            write_clips(args.out, result.done, times.known)
        print(f'{args.out}: {result}')
        apart = [i for i in result.done if times.known[i].note]
        if apart:
            print(
                f'{times.path}: the sound of {len(apart)} clips was shifted to their '
                f'frame or filled with silence ({name_some(apart)})'
            )
        if result.failed:
            print(f'{args.out}/failed.csv: {name_some(list(result.failed))}')
        missing = sorted(annotated - set(videos))
        if missing and not args.ids:
            print(
                f'{args.annotated_list}: {len(missing)} of {len(annotated)} clips have '
                f'no video ({name_some(missing)})'
            )
    return 0 if result.done else 1


if __name__ == '__main__':
    sys.exit(main())
