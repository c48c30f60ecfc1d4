"""Makes a labeled audio-visual data set from Tux Paint's photo stamps.

Scenes of two or three cut-outs on photographs; one of them (sometimes two) is
heard, with its recording. See docs/data/tuxpaint.md.
"""

import argparse
import hashlib
import os
import time
from collections import Counter
from pathlib import Path

from cutouts.clip import SPLITS, TWO_SOUNDING, ClipMaker
from cutouts.photos import find_backgrounds, read_backgrounds, share_out
from cutouts.sound import RATE
from cutouts.stamps import Stamps, read_stamps, summarise

from mmxpl.datasets.synthetic import write_folder
from mmxpl.utils import DataError
from mmxpl.utils.cli import number_in, one_clear_error

#: Increased whenever the same settings give other files.
VERSION = 1


def parse_args(argv=None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    share = number_in(0, 1, float)
    parser.add_argument(
        '--stamps',
        type=Path,
        required=True,
        help='folder into which tuxpaint-stamps-default (and packages with '
        'wallpapers) were unpacked with dpkg -x',
    )
    parser.add_argument(
        '--backgrounds',
        type=Path,
        nargs='+',
        metavar='DIR',
        help='folders of photographs to use instead of the known wallpapers below '
        '--stamps and the photographs of scikit-image',
    )
    parser.add_argument(
        '--out', type=Path, default=Path('data/tuxpaint'), help='folder to write'
    )
    parser.add_argument('--clips', type=number_in(3), default=2000, help='clips in all')
    parser.add_argument(
        '--val', type=share, default=0.1, help='share of the clips for validation'
    )
    parser.add_argument(
        '--test', type=share, default=0.2, help='share of the clips for the test'
    )
    parser.add_argument(
        '--seed', type=number_in(0), default=0, help='seed of all randomness'
    )
    parser.add_argument(
        '--size',
        type=number_in(64, 1024),
        default=224,
        help='side of the frame in pixels',
    )
    parser.add_argument(
        '--seconds',
        type=number_in(0.5, 60, float),
        default=3.0,
        help='length of the sound',
    )
    parser.add_argument(
        '--quality', type=number_in(1, 100), default=92, help='JPEG quality'
    )
    parser.add_argument(
        '--background',
        type=number_in(-60, 20, float),
        metavar='DB',
        help='add to each clip the recording of a class that is not in the frame, so '
        'many decibels above its own sound',
    )
    parser.add_argument(
        '--workers',
        type=number_in(1),
        default=os.cpu_count(),
        help='processes; the files do not depend on it',
    )
    return parser.parse_args(argv)


def count_clips(args: argparse.Namespace) -> dict[str, int]:
    """Counts the clips of each split.

    Raises:
        DataError: A split has none.
    """
    val, test = (round(args.clips * share) for share in (args.val, args.test))
    counts = dict(train=args.clips - val - test, val=val, test=test)
    if min(counts.values()) < 1:
        raise DataError(
            f'--clips {args.clips} --val {args.val} --test {args.test}: leaves a '
            f'split without clips ({counts})'
        )
    return counts


def digest(files: list[Path]) -> str:
    """Hashes names and contents of the files."""
    content = hashlib.sha256()
    for path in files:
        content.update(path.name.encode() + b'\0')
        content.update(hashlib.sha256(path.read_bytes()).digest())
    return content.hexdigest()[:16]


def print_inputs(stamps: Stamps, shares: dict[str, list[str]], dropped: dict) -> None:
    """Prints what was found and what was left out, with the reason."""
    photos = [p for kind in stamps.kinds for p in kind.photos]
    takes = [t for kind in stamps.kinds for t in kind.takes]
    stems = {t.name.split('[')[0] for t in takes}
    print(
        f'stamps       {len(photos)} photographs and {len(stems)} recordings of '
        f'{len(stamps.kinds)} classes; {len(stamps.dropped)} stamps left out: '
        f'{summarise(stamps.dropped)}'
    )
    for name, reason in sorted(stamps.dropped.items()):
        print(f'  left out   {name}: {reason}')
    seconds = sum(len(t.wave) for t in takes) / RATE
    new_photos = sum('train' not in p.splits for p in photos)
    new_takes = sum('train' not in t.splits for t in takes)
    print(
        f'recordings   {seconds:.0f} s after trimming; for the test only: '
        f'{new_takes} recordings or parts of one, {new_photos} photographs'
    )
    counts = ', '.join(f'{s} {len(shares[s])}' for s in SPLITS)
    print(
        f'backgrounds  {sum(map(len, shares.values()))} photographs ({counts}); '
        f'{len(dropped)} left out: {summarise(dropped)}'
    )
    for name, reason in sorted(dropped.items()):
        print(f'  left out   {name}: {reason}')


def print_outputs(out: Path) -> None:
    """Prints counts, areas and reference rows of what is on disk."""
    # Here, so that worker processes need not import it.
    from mmxpl.datasets.synthetic import (
        area_facts,
        box_areas,
        load_entries,
        reference_rows,
    )

    splits = load_entries(out)
    keys = ('mean', 'median', 'small', 'medium', 'large', 'huge')
    print(
        '\nsplit    clips  classes  2 sound   area of the boxes of what sounds / frame'
    )
    print(' ' * 32 + ''.join(f'{key:>8}' for key in keys))
    for split in SPLITS:
        entries = splits[split]
        classes = {
            o['category'] for e in entries for o in e['objects'] if o['sounding']
        }
        two = sum(len(e['bboxes']) > 1 for e in entries) / len(entries)
        facts = area_facts(box_areas(entries)['ground truth'])
        row = ''.join(f'{facts[key]:8.3f}' for key in keys)
        print(f'{split:<6}{len(entries):8d}{len(classes):9d}{two:9.1%}{row}')
    heard = [o for e in splits['test'] for o in e['objects'] if o['sounding']]
    counts = Counter((o['new_photo'], o['new_sound']) for o in heard)
    print(
        f'\ntest, what sounds: {len(heard)} objects; known from training: photograph '
        f'and recording {counts[False, False]}, only the photograph '
        f'{counts[False, True]}, only the recording {counts[True, False]}, neither '
        f'{counts[True, True]}'
    )
    print('\nCIoU@0.5 on test     adaptive  median   fixed')
    for name, values in reference_rows(splits['test'], TWO_SOUNDING).items():
        print(f'{name:<21}' + ''.join(f'{value:8.1f}' for value in values.values()))


def main(argv=None) -> None:
    """Makes the data set and prints its statistics."""
    args = parse_args(argv)
    with one_clear_error():
        start = time.perf_counter()
        counts = count_clips(args)
        stamps = read_stamps(args.stamps)
        if args.background is not None and len(stamps.kinds) < 4:
            raise DataError(
                f'--background: {len(stamps.kinds)} classes, 4 are needed, since a '
                'frame may show 3.'
            )
        found = find_backgrounds(args.stamps, args.backgrounds)
        # Crops are at least 0.4 of a photograph's shorter side.
        photos, dropped = read_backgrounds(found, round(2.5 * args.size))
        shares = share_out(list(photos), args.seed)
        print_inputs(stamps, shares, dropped)
        maker = ClipMaker(
            kinds=stamps.kinds,
            backgrounds={s: [photos[n] for n in shares[s]] for s in SPLITS},
            size=args.size,
            seconds=args.seconds,
            seed=args.seed,
            background=args.background,
        )
        settings = dict(
            tool='tuxpaint',
            version=VERSION,
            seed=args.seed,
            size=args.size,
            seconds=args.seconds,
            quality=args.quality,
            clips=counts,
            stamps=digest(stamps.files),
            backgrounds=digest([found[name] for name in sorted(photos)]),
        )
        if args.background is not None:
            settings['background'] = args.background
        metainfo = dict(
            dataset_type='tuxpaint',
            task_name='avsl',
            classes=[kind.name for kind in stamps.kinds],
            backgrounds=shares,
        )
        written = write_folder(
            args.out,
            maker,
            counts,
            settings,
            metainfo,
            sample_rate=RATE,
            quality=args.quality,
            workers=args.workers,
        )
    if written:
        print(f'{args.out}: written in {time.perf_counter() - start:.0f} s')
    else:
        print(f'{args.out}: these clips are there already, nothing to do')
    print_outputs(args.out)


if __name__ == '__main__':
    main()
