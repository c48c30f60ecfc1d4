"""Converts Flickr-SoundNet as distributed into one folder.

Frames (jpg or png), sounds (wav, mp3, flac, ogg) and XML annotations are looked
for below the given folders by the clip's id, the file's name without ending.
Writes frames/ID.jpg or .png (copies), audio/ID.wav (16 kHz, mono),
Annotations/ID.xml (copies of those that can be read) and failed.csv. Interrupted,
it goes on where it stopped.

Exit status: 0 if there are complete clips, though others may have been left out
(they are counted, and failed.csv lists them); 1 if there is none; 2 if an argument
or the folder cannot be used. See docs/data/flickr.md.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from mmxpl.datasets import read_id_list
from mmxpl.datasets.convert import convert_batch, copy_bytes, lock_output, write_wav
from mmxpl.datasets.flickr_soundnet import read_flickr_xml
from mmxpl.datasets.id_list import check_id, same_id
from mmxpl.datasets.image_io import decode_frame
from mmxpl.datasets.vggss import AUDIO_SUFFIXES, FRAME_SUFFIXES
from mmxpl.datasets.video_io import import_av
from mmxpl.datasets.video_sound import read_video_sound
from mmxpl.utils import DataError
from mmxpl.utils.cli import make_folder, number_in, one_clear_error
from mmxpl.utils.files import files_below
from mmxpl.utils.ids import name_some


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, what in (
        ('frames', 'folder of the frames'),
        ('audio', 'folder of the sounds'),
        ('out', 'folder to write'),
    ):
        parser.add_argument(
            f'--{name}', required=True, type=Path, metavar='DIR', help=what
        )
    parser.add_argument(
        '--xml', type=Path, metavar='DIR', help='folder of the annotations'
    )
    parser.add_argument(
        '--ids',
        nargs='+',
        metavar='LIST',
        help='convert these clips only (default: all frames); a published list may '
        'say .png where the file is a .jpg',
    )
    parser.add_argument(
        '--workers',
        type=number_in(1),
        default=os.cpu_count(),
        help='clips read at a time',
    )
    return parser.parse_args(argv)


def find_files(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """Finds files below a folder by id, sorted; of several the one of the first ending.

    The others are counted. A name that is no id is a DataError.
    """
    ranked: dict[str, tuple] = {}
    count = 0
    for path in files_below(folder):
        suffix = path.suffix.lower()
        if suffix in suffixes and not path.name.startswith('.'):
            check_id(path.stem, repr(str(path)))
            rank = (suffixes.index(suffix), str(path), path)
            sample_id = same_id(path.stem)
            ranked[sample_id] = min(rank, ranked.get(sample_id, rank))
            count += 1
    if not ranked:
        raise DataError(
            f'{folder}: holds no file that ends in {", ".join(suffixes)}. Name the '
            'folder that the archive was unpacked to.'
        )
    if count > len(ranked):
        print(f'{folder}: {count - len(ranked)} files have the id of another: left out')
    return {stem: ranked[stem][2] for stem in sorted(ranked)}


def main(argv: Sequence[str] | None = None) -> int:
    """Converts the clips and reports."""
    args = parse_args(argv)
    with one_clear_error(), ExitStack() as stack:
        import_av()
        frames = find_files(args.frames, FRAME_SUFFIXES)
        sounds = find_files(args.audio, AUDIO_SUFFIXES)
        notes = find_files(args.xml, ('.xml',)) if args.xml else {}
        media, ids = (frames, sounds, notes), list(frames)
        if args.ids:
            listed = (i for path in args.ids for i in read_id_list(path))
            ids = list(dict.fromkeys(listed))
        make_folder(args.out, '--out')
        stack.enter_context(lock_output(args.out))

        def outputs(sample_id: str) -> list[Path]:
            suffix = frames[sample_id].suffix.lower() if sample_id in frames else '.jpg'
            paths = [
                args.out / 'frames' / f'{sample_id}{suffix}',
                args.out / 'audio' / f'{sample_id}.wav',
            ]
            if sample_id in notes:
                paths.append(args.out / 'Annotations' / f'{sample_id}.xml')
            return paths

        def is_complete(sample_id: str) -> bool:
            files = outputs(sample_id)
            if not all(path.is_file() for path in files):
                return False
            sources = [found[sample_id] for found in media if sample_id in found]
            times = [path.stat().st_mtime for path in sources if path.exists()]
            newest = max(times, default=0)  # a clip is kept without its sources
            return newest <= min(path.stat().st_mtime for path in files)

        def convert(sample_id: str) -> None:
            if sample_id not in frames:
                raise DataError(f'{sample_id}: no frame below {args.frames}.')
            if sample_id not in sounds:
                raise DataError(f'{sample_id}: no sound below {args.audio}.')
            # everything is read before anything is written
            decode_frame(str(frames[sample_id]))
            wave = read_video_sound(str(sounds[sample_id]), 16000)
            if sample_id in notes:
                read_flickr_xml(str(notes[sample_id]))
            frame_file, sound_file, *note_file = outputs(sample_id)
            copy_bytes(frame_file, frames[sample_id])
            write_wav(sound_file, wave, 16000)
            for path in note_file:
                copy_bytes(path, notes[sample_id])

        settings = dict(tool='flickr_soundnet', sample_rate=16000)
        result = convert_batch(
            args.out, ids, is_complete, convert, settings, args.workers
        )
        print(f'{args.out}: {result}')
        if args.xml:
            count = sum(i in notes for i in result.done)
            print(f'{args.out}/Annotations: {count} of the complete clips')
        if result.failed:
            print(f'{args.out}/failed.csv: {name_some(list(result.failed))}')
    return 0 if result.done else 1


if __name__ == '__main__':
    sys.exit(main())
