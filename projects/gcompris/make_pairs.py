"""Makes a small data set of GCompris's photographs and recordings.

Nine farm animals with boxes and nine pictures of music without. See
docs/data/gcompris.md.
"""

import argparse
import json
import os
import shutil
from pathlib import Path, PurePosixPath

from rcc import read_rcc

from mmxpl.utils import DataError
from mmxpl.utils.cli import one_clear_error

#: Resources of the package, and what the ids of their clips begin with.
RESOURCES = {'explore_farm_animals.rcc': 'animal', 'explore_world_music.rcc': 'music'}
#: Recordings that are not called like their photograph.
SOUNDS = {'chicken': 'chickens', 'orchestra': 'beethoven'}
#: Boxes x1, y1, x2, y2 of every animal of the kind that is heard, in shares of the
#: frame, by the photograph's name; marked by hand, to about 1 % of the frame.
BOXES = {
    'cat': [[0.185, 0.143, 1.0, 0.73]],
    'chicken': [
        [0.04, 0.185, 0.21, 0.75],
        [0.365, 0.113, 0.545, 0.74],
        [0.513, 0.187, 0.69, 0.77],
        [0.703, 0.198, 0.972, 0.882],
    ],
    'cow': [
        [0.228, 0.385, 0.9, 0.895],
        [0.26, 0.235, 0.415, 0.36],
        [0.795, 0.24, 0.89, 0.345],
    ],
    'dog': [[0.04, 0.035, 0.885, 0.95]],
    'duck': [[0.124, 0.217, 0.797, 0.9]],
    'horse': [
        [0.124, 0.316, 0.365, 0.825],
        [0.325, 0.343, 0.51, 0.805],
        [0.508, 0.456, 0.643, 0.813],
        [0.571, 0.349, 0.885, 0.838],
        [0.255, 0.64, 0.459, 0.865],
    ],
    'owl': [[0.533, 0.209, 0.8, 0.945]],
    'pig': [[0.159, 0.225, 0.602, 0.821]],
    'sheep': [[0.231, 0.115, 0.706, 0.904]],
}


def parse_args(argv=None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument(
        '--package',
        type=Path,
        required=True,
        help='folder into which gcompris-qt-data was unpacked with dpkg -x',
    )
    parser.add_argument(
        '--out', type=Path, default=Path('data/gcompris'), help='new folder to write'
    )
    return parser.parse_args(argv)


def find_resource(package: Path, name: str) -> Path:
    """Finds a resource file below the unpacked package.

    Raises:
        DataError: If there is none.
    """
    found = sorted(package.rglob(name))
    if not found:
        raise DataError(
            f'{package}: holds no {name}. Unpack the Debian package gcompris-qt-data '
            'with dpkg -x and name the folder.'
        )
    return found[0]


def read_pairs(path: Path) -> tuple[dict[str, tuple[bytes, bytes]], str]:
    """Reads the pairs of a resource, and who made them.

    Returns:
        tuple[dict, str]: For each photograph's name its WebP and its Ogg file;
        and the text on copyright.

    Raises:
        DataError: If a photograph has no recording or there is no pair.
    """
    files = {PurePosixPath(name).name: data for name, data in read_rcc(path).items()}
    pairs = {}
    for file, picture in sorted(files.items()):
        name = file.removesuffix('.webp')
        if name == file:
            continue
        sound = f'{SOUNDS.get(name, name)}.ogg'
        if sound not in files:
            raise DataError(
                f'{path}: the photograph {file} has no recording {sound}. The tool '
                'knows release 3.1 of the package; use that one.'
            )
        pairs[name] = (picture, files[sound])
    if not pairs or 'README' not in files:
        raise DataError(
            f'{path}: no photographs with recordings and their README in it. The tool '
            'knows release 3.1 of the package; use that one.'
        )
    return pairs, files['README'].decode('utf-8', 'replace')


def write(package: Path, out: Path) -> dict[str, int]:
    """Writes the data set, media as they are, and counts the clips of each list.

    Raises:
        DataError: If the folder exists or the package is not what is known.
    """
    if out.exists():
        raise DataError(f'{out}: exists already. Remove it, or choose another --out.')
    part = out.with_name(out.name + '.part')
    shutil.rmtree(part, ignore_errors=True)
    for folder in ('frames', 'audio'):
        (part / folder).mkdir(parents=True)
    entries, licences = [], []
    for resource, prefix in RESOURCES.items():
        pairs, licence = read_pairs(find_resource(package, resource))
        licences.append(f'{resource}\n\n{licence}')
        for name, (picture, sound) in pairs.items():
            clip = f'{prefix}_{name}'
            (part / f'frames/{clip}.webp').write_bytes(picture)
            (part / f'audio/{clip}.ogg').write_bytes(sound)
            entry = dict(
                sample_id=clip,
                img_path=f'frames/{clip}.webp',
                audio_path=f'audio/{clip}.ogg',
                category=name,
            )
            if prefix == 'animal' and name in BOXES:
                entry['bboxes'] = BOXES[name]
            entries.append(entry)
    lists = {
        'labeled.txt': [e['sample_id'] for e in entries if 'bboxes' in e],
        'unlabeled.txt': [e['sample_id'] for e in entries if 'bboxes' not in e],
    }
    for name, ids in lists.items():
        (part / name).write_text('\n'.join(ids) + '\n', encoding='utf-8')
    content = dict(metainfo=dict(source='gcompris-qt-data'), data_list=entries)
    text = json.dumps(content, indent=1) + '\n'
    (part / 'annotations.json').write_text(text, encoding='utf-8')
    (part / 'LICENCES.txt').write_text('\n\n'.join(licences), encoding='utf-8')
    os.rename(part, out)
    return {name: len(ids) for name, ids in lists.items()}


def main(argv=None) -> None:
    """Writes the data set and prints what is in it."""
    args = parse_args(argv)
    with one_clear_error():
        counts = write(args.package, args.out)
    for name, count in counts.items():
        print(f'{args.out / name}: {count} clips')
    print(f'Who made them, and under which licence: {args.out / "LICENCES.txt"}')


if __name__ == '__main__':
    main()
