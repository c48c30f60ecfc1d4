"""Tests whether one method's heat maps are better than another's.

A and B are folders of ID.npy files or .npz archives, as for eval_maps.py. On the
samples that both have, computes the 95 % bootstrap interval of the difference (A - B),
a sign-flip permutation test, and McNemar's exact test for CIoU@0.5.
"""

import argparse
import json

from mmxpl.utils.cli import number_in, one_clear_error


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    from mmxpl.evaluation.functional import INTERPOLATIONS
    from mmxpl.evaluation.maps import add_truth_arguments

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('first', metavar='A', help='maps of one method')
    parser.add_argument('second', metavar='B', help='maps of the other method')
    add_truth_arguments(parser)
    parser.add_argument(
        '--interpolation',
        choices=list(INTERPOLATIONS),
        default='bilinear',
        help='how maps are resized to 224x224 (default: bilinear, aligned corners)',
    )
    parser.add_argument(
        '--bootstrap',
        type=number_in(1),
        default=2000,
        metavar='N',
        help='bootstrap resamples (default: %(default)s)',
    )
    parser.add_argument(
        '--permutations',
        type=number_in(1),
        default=10000,
        metavar='N',
        help='sign flips (default: %(default)s)',
    )
    parser.add_argument(
        '--seed', type=number_in(0, 2**32 - 1), default=0, help='seed of both'
    )
    parser.add_argument('--json', metavar='OUT', help='write the result to this file')
    return parser.parse_args()


def main() -> None:
    """Compares the maps."""
    args = parse_args()
    from mmxpl.evaluation.functional import INTERPOLATIONS
    from mmxpl.evaluation.maps import (
        STANDARD,
        common_ids,
        compare_scores,
        format_comparison,
        open_maps,
        read_truth,
        score_files,
    )
    from mmxpl.utils import hash_ids
    from mmxpl.utils.files import write_result

    maps = {'A': open_maps(args.first), 'B': open_maps(args.second)}
    truth, expected = read_truth(args)
    ids = common_ids(expected, *maps.values())
    scores = score_files(maps, truth, ids, STANDARD, args.interpolation)
    mode, align_corners = INTERPOLATIONS[args.interpolation]
    only = {name: files.ids.intersection(expected) for name, files in maps.items()}
    report = {
        'comparison': compare_scores(
            scores, 'A', 'B', args.bootstrap, args.permutations, args.seed
        ),
        'protocol': {
            'A': args.first,
            'B': args.second,
            'annotations': f'{args.ann} ({args.ann_format}, {args.target})',
            'interpolation': f'{mode}, align_corners={align_corners}',
            'n_common': len(ids),
            'n_expected': len(expected),
            'n_only_A': len(only['A'] - only['B']),
            'n_only_B': len(only['B'] - only['A']),
            'common_hash': hash_ids(ids),
            'resamples': args.bootstrap,
            'permutations': args.permutations,
            'seed': args.seed,
            'unit': 'per cent',
        },
    }
    print(format_comparison(report), end='')
    if args.json:
        write_result(args.json, json.dumps(report, indent=2) + '\n')


if __name__ == '__main__':
    with one_clear_error():
        main()
