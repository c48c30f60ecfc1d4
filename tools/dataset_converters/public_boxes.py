"""Lists the clips of IS3, MUSIC-Solo or MUSIC-Duet, as distributed, for AVJsonDataset.

ROOT holds frames and sounds, which stay where they are; BOXES is the published JSON
file. ROOT/annotations.json is written.

is3     ROOT/images/NAME.jpg (or visual_frames/), ROOT/audio_wav/NAME.wav; BOXES:
        synthetic3240_bbox.json of kaistmm/SSLalignment (image, audio, gt_box: corners
        in a frame of 224 pixels). NAME ends with what sounds in it, and an image is
        there once for each of its two sounds.
music   ROOT/frames/NAME.jpg, ROOT/audio/NAME.wav without NAME's last number; BOXES:
        music_solo.json or music_duet.json of stoneMo/AVGN (file, class, bbox, or two
        of each: corner and size, as shares of the frame).

See docs/data/is3.md and docs/data/duets.md.
"""

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from mmxpl.datasets.annotations import clip_boxes, looks_like_pixels, parse_box
from mmxpl.datasets.id_list import refuse_duplicates
from mmxpl.datasets.json_io import read_json
from mmxpl.utils import DataError
from mmxpl.utils.cli import one_clear_error
from mmxpl.utils.files import write_result
from mmxpl.utils.ids import name_some

SIDE = 224  # pixels of the frame that IS3's boxes are in


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('layout', choices=list(LAYOUTS))
    parser.add_argument('root', type=Path, metavar='ROOT')
    parser.add_argument('boxes', type=Path, metavar='BOXES')
    parser.add_argument(
        '--missing',
        choices=('error', 'skip'),
        default='error',
        help='what to do about clips without frame or sound, or with a box that has no '
        'area within the frame (default: error)',
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='write over the file of a former call'
    )
    return parser.parse_args(argv)


def text_of(item: dict, key: str, where: str) -> str:
    """Reads a name that an item must have."""
    if not isinstance(item.get(key), str) or not item[key]:
        raise DataError(
            f"{where}, field '{key}' must be a name, got {item.get(key)!r}."
        )
    return item[key]


def read_is3(item: dict, where: str) -> dict:
    """Makes the entry of a sound of IS3; of the item's paths the names count.

    ``video_id`` is the name of the image that both sounds share.
    """
    names = [PurePosixPath(text_of(item, key, where)) for key in ('image', 'audio')]
    image, _, category = names[0].stem.rpartition('_')
    if not image:
        raise DataError(f"{where}: 'image' must end with _CLASS, got {names[0]}.")
    box = parse_box(item.get('gt_box'), f"{where}, field 'gt_box'")
    return dict(
        sample_id=names[0].stem,
        video_id=image,
        img_path=[
            f'{folder}/{names[0].name}' for folder in ('images', 'visual_frames')
        ],
        audio_path=f'audio_wav/{names[1].name}',
        category=category,
        # whole pixels, which the later product must not round down
        bboxes=[[(int(v) + 1e-6 if 0 <= v < SIDE else v) / SIDE for v in box]],
    )


def read_music(item: dict, where: str) -> dict:
    """Makes the entry of a frame of MUSIC with one or two instruments.

    ``video_id`` is the name of the sound, which several frames share.
    """
    name = text_of(item, 'file', where)
    sound = name.rpartition('_')[0]
    endings = ('',) if 'class' in item else ('_src1', '_src2')
    classes = [text_of(item, f'class{end}', where) for end in endings]
    keys, form = [f'bbox{end}' for end in endings], '[x, y, width, height]'
    boxes = [parse_box(item.get(k), f"{where}, field '{k}'", form) for k in keys]
    return dict(
        sample_id=name,
        video_id=sound,
        img_path=[f'frames/{name}.jpg'],
        audio_path=f'audio/{sound}.wav',
        category=classes[0] if len(classes) == 1 else None,
        classes=classes,
        bboxes=[[x, y, x + w, y + h] for x, y, w, h in boxes],
    )


LAYOUTS: dict[str, Callable[[dict, str], dict]] = {'is3': read_is3, 'music': read_music}


def cut_boxes(entries: Sequence[dict], source: Path) -> tuple[list[str], list[str]]:
    """Cuts the boxes of entries at the frame, in place, and drops those without area.

    Returns the ids of clips that lost a box, and of others whose boxes reached out of
    the frame.
    """
    if looks_like_pixels([box for entry in entries for box in entry['bboxes']]):
        raise DataError(
            f'{source}: most boxes reach far beyond the frame. Give the published '
            f'file: IS3 has corners in a frame of {SIDE} pixels, MUSIC shares of it.'
        )
    flat, cut = [], []
    for entry in entries:
        entry['bboxes'], outside, dropped = clip_boxes(entry['bboxes'])
        if dropped:
            flat.append(entry['sample_id'])
        elif outside:
            cut.append(entry['sample_id'])
    return flat, cut


def missing_file(root: Path, entry: dict) -> str | None:
    """Chooses the path of the frame, in place, and returns a file that is not there."""
    options = entry['img_path']
    entry['img_path'] = next((p for p in options if (root / p).is_file()), options[0])
    for path in (entry['img_path'], entry['audio_path']):
        if not (root / path).is_file():
            return path
    return None


def add_silent_objects(entries: Sequence[dict]) -> None:
    """Adds ``objects`` to the entries of IS3; those of other sounds are silent."""
    images = defaultdict(list)
    for entry in entries:
        images[entry['video_id']].append(entry)
    for entry in entries:
        entry['objects'] = [
            dict(category=o['category'], bbox=o['bboxes'][0], sounding=o is entry)
            for o in images[entry['video_id']]
            if o['bboxes']
        ]


def main(argv: Sequence[str] | None = None) -> None:
    """Lists and reports."""
    args = parse_args(argv)
    with one_clear_error():
        out = args.root / 'annotations.json'
        if out.exists() and not args.overwrite:
            raise DataError(f'{out}: exists already. Add --overwrite.')
        items = read_json(args.boxes)
        if not isinstance(items, list) or not all(isinstance(i, dict) for i in items):
            raise DataError(f'{args.boxes}: must hold a list of objects.')
        read = LAYOUTS[args.layout]
        entries = [read(item, f'{args.boxes}[{n}]') for n, item in enumerate(items)]
        refuse_duplicates((entry['sample_id'] for entry in entries), args.boxes)
        flat, cut = cut_boxes(entries, args.boxes)
        if flat and args.missing == 'error':
            raise DataError(
                f'{args.boxes}: boxes of {len(flat)} clips have no area within the '
                f'frame ({name_some(flat)}). Correct them, or add --missing skip.'
            )
        if args.layout == 'is3':
            # before any is left out: what is silent is in the image all the same
            add_silent_objects(entries)
        lacking = {e['sample_id']: missing_file(args.root, e) for e in entries}
        missing = {name: path for name, path in lacking.items() if path}
        if missing and args.missing == 'error':
            raise DataError(
                f'{args.root}: {len(missing)} of {len(entries)} clips lack a file '
                f'({name_some(list(missing.values()))}). Restore them, or add '
                '--missing skip.'
            )
        left_out = dict.fromkeys([*missing, *flat])
        kept = [entry for entry in entries if entry['sample_id'] not in left_out]
        if not kept:
            raise DataError(f'{args.root}: no clip of {args.boxes} is complete.')
        classes = Counter(
            name for e in kept for name in e.get('classes', [e['category']])
        )
        content = dict(metainfo=dict(classes=sorted(classes)), data_list=kept)
        write_result(out, json.dumps(content) + '\n')
        images = len({entry['video_id'] for entry in kept})
        print(f'{out}: {len(kept)} clips, {len(classes)} classes, {images} video ids')
        cut = [name for name in cut if name not in left_out]
        if cut:
            print(
                f'boxes of {len(cut)} clips reach out of the frame and were cut '
                f'({name_some(cut)})'
            )
        if left_out:
            print(f'{len(left_out)} clips are left out ({name_some(list(left_out))})')


if __name__ == '__main__':
    main()
