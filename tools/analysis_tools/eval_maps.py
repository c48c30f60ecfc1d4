"""Scores heat maps of any method against published annotations.

MAPS is a folder of ID.npy files or an .npz archive of id to map; each map is
two-dimensional, of any size, with values in [0, 1]. Prints a Markdown page with
CIoU and AUC under every threshold rule, reference rows such as a centred disc, and
the protocol.
"""

import argparse
import json
import sys

from mmxpl.utils.cli import number_in, one_clear_error
from mmxpl.utils.errors import DataError


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    from mmxpl.evaluation.functional import INTERPOLATIONS
    from mmxpl.evaluation.maps import PRESETS, add_truth_arguments

    recipes = '\n\n'.join(
        f'--preset {name}\n{preset.describe()}' for name, preset in PRESETS.items()
    )
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f'Recipes of the public evaluators:\n\n{recipes}',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('maps', metavar='MAPS', help='folder of ID.npy, or .npz')
    add_truth_arguments(parser)
    parser.add_argument(
        '--preset',
        choices=list(PRESETS),
        help='also score by the recipe of a public evaluator; sets --interpolation',
    )
    parser.add_argument(
        '--interpolation',
        choices=list(INTERPOLATIONS),
        help='how maps are resized to 224x224 (default: as the preset does, else '
        'bilinear with aligned corners)',
    )
    parser.add_argument(
        '--group',
        action='append',
        default=[],
        metavar='NAME=LIST',
        help='also score the ids of a list, for example heard=vggss_heard_test.csv; '
        'may be repeated',
    )
    parser.add_argument(
        '--prior',
        metavar='FILE',
        help='add the row of a prior: a map .npy, or a list of annotated training ids '
        'whose mean is taken',
    )
    parser.add_argument(
        '--vision-only',
        metavar='MAPS',
        help='add the row of maps that were made without sound, of all the clips',
    )
    parser.add_argument(
        '--bootstrap',
        type=number_in(0),
        default=1000,
        metavar='N',
        help='resamples for 95%% intervals, 0 for none (default: %(default)s)',
    )
    parser.add_argument(
        '--seed', type=number_in(0, 2**32 - 1), default=0, help='seed of the resampling'
    )
    parser.add_argument(
        '--missing',
        choices=['report', 'error'],
        default='report',
        help='score the maps that exist and count missing ones, or stop (default: '
        'report)',
    )
    parser.add_argument(
        '--per-class', action='store_true', help='also print a table of the classes'
    )
    parser.add_argument('--json', metavar='OUT', help='write all scores to this file')
    parser.add_argument('--md', metavar='OUT', help='write the page to this file')
    args = parser.parse_args()
    for group in args.group:
        if not all(group.partition('=')):
            parser.error(f"--group: '{group}' is not NAME=LIST")
    return args


def main() -> None:
    """Scores the maps."""
    args = parse_args()
    from mmxpl.datasets.id_list import read_id_list
    from mmxpl.evaluation.functional import SWEEP
    from mmxpl.evaluation.maps import (
        PRESETS,
        STANDARD,
        build_report,
        common_ids,
        format_markdown,
        open_maps,
        read_prior,
        read_truth,
        score_files,
    )
    from mmxpl.utils.files import write_result
    from mmxpl.utils.ids import name_some

    preset = PRESETS[args.preset] if args.preset else None
    interpolation = args.interpolation
    if interpolation is None:
        interpolation = preset.interpolation if preset else 'bilinear'
    lists = {
        name: read_id_list(path)
        for name, _, path in (group.partition('=') for group in args.group)
    }
    maps = open_maps(args.maps)
    truth, expected = read_truth(args)
    ids = common_ids(expected, maps)
    missing = sorted(set(expected) - maps.ids)
    if missing:
        notice = (
            f'{args.maps}: {len(missing)} of {len(expected)} expected ids have no map '
            f'({name_some(missing)})'
        )
        if args.missing == 'error':
            raise DataError(
                f'{notice}. Make these maps, or name a --list of those you have.'
            )
        print(f'warning: {notice}', file=sys.stderr)
    prior = read_prior(args.prior, truth, ids) if args.prior else None
    rules = dict.fromkeys((*STANDARD, *(preset.rules if preset else ()), *SWEEP))
    rows = {'maps': maps}
    source = {'maps': args.maps}
    if args.vision_only:
        rows['ref/vision'] = open_maps(args.vision_only)
        lacking = sorted(set(ids) - rows['ref/vision'].ids)
        if lacking:
            raise DataError(
                f'--vision-only {args.vision_only}: {len(lacking)} of {len(ids)} '
                f'scored clips have no map ({name_some(lacking)}). Make these maps.'
            )
        source['vision-only maps'] = args.vision_only
    scores = score_files(rows, truth, ids, tuple(rules), interpolation, prior)
    report = build_report(
        scores,
        expected,
        {
            **source,
            'annotations': f'{args.ann} ({args.ann_format}, {args.target})',
            'list': args.list or 'all annotated ids',
        },
        interpolation,
        surplus=len(maps.ids - set(expected)),
        lists=lists,
        resamples=args.bootstrap,
        seed=args.seed,
        preset=preset,
    )
    page = format_markdown(report, args.per_class)
    print(page, end='')
    if args.json:
        write_result(args.json, json.dumps(report, indent=2) + '\n')
    if args.md:
        write_result(args.md, page)


if __name__ == '__main__':
    with one_clear_error():
        main()
