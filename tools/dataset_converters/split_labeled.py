"""Divides annotated clips into labeled, validation and test lists.

Writes labeled.txt, val.txt, test.txt, where asked for unlabeled.txt, and
splits.json with seed, counts and the fingerprint of each list: the one that the
score table prints as 'id list'. The parts share no clip. Which clip falls into
which part depends on the ids and the seed alone. See docs/data/vggss.md.
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mmxpl.datasets import read_id_list
from mmxpl.datasets.annotations import clip_boxes
from mmxpl.datasets.id_list import format_list, name_list, plain_clips
from mmxpl.datasets.splits import choose_stratified
from mmxpl.utils import DataError, hash_ids
from mmxpl.utils.cli import make_folder, number_in, one_clear_error
from mmxpl.utils.files import write_result


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--ids', required=True, metavar='LIST', help='annotated clips to divide'
    )
    parser.add_argument(
        '--classes',
        metavar='FILE',
        help='vggss.json: every part then gets its share of each class, and clips '
        'without a usable box are neither trained nor validated on',
    )
    for name, what in (('labeled', 'learn from'), ('val', 'choose models by')):
        parser.add_argument(
            f'--{name}',
            required=True,
            type=number_in(1),
            metavar='N',
            help=f'clips to {what}',
        )
    parser.add_argument(
        '--test-list',
        metavar='LIST',
        help='published test list to use as it is, none of whose clips is in --ids; '
        'without it the rest of --ids is the test',
    )
    parser.add_argument(
        '--unlabeled-list',
        metavar='LIST',
        help='clips without boxes; those of the other parts are taken out of it',
    )
    parser.add_argument(
        '--seed', type=number_in(0, 2**32 - 1), default=0, help='(default: 0)'
    )
    parser.add_argument(
        '--out', required=True, type=Path, metavar='DIR', help='folder for the lists'
    )
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace the lists of a former call with other options',
    )
    return parser.parse_args(argv)


def read_classes(path: str | None) -> tuple[dict[str, str], set[str]]:
    """Reads the class of each clip of vggss.json, and the ids without a usable box."""
    if path is None:
        return {}, set()
    from mmxpl.datasets import VGGSSDataset

    dataset = VGGSSDataset(ann_file=path, labeled=True, lazy_init=True)
    annotations = dataset.read_annotations()
    classes = {i: a['category'] or '' for i, a in annotations.items()}
    boxless = {i for i, a in annotations.items() if not clip_boxes(a['bboxes'])[0]}
    return classes, boxless


def divide(
    args: argparse.Namespace, ids: list[str], classes: dict[str, str], boxless: set[str]
) -> dict[str, list[str]]:
    """Divides the clips into parts, each in the order of its list."""
    unknown = [i for i in ids if classes and i not in classes]
    if unknown:
        raise DataError(
            f'{args.ids}: {len(unknown)} ids are not in {args.classes}, such as '
            f'{unknown[0]}. Name the annotations of this list.'
        )
    usable = [i for i in ids if i not in boxless]
    rest = len(usable) - args.labeled - args.val
    # a test of nothing but clips that cannot be scored would be none
    if rest < (0 if args.test_list else 1):
        raise DataError(
            f'--labeled {args.labeled} --val {args.val}: do not fit, {args.ids} has '
            f'{len(usable)} clips with usable boxes. Each part needs at least one.'
        )
    labeled = choose_stratified(usable, classes, args.labeled, args.seed)
    chosen = set(labeled)
    others = [i for i in usable if i not in chosen]
    val = choose_stratified(others, classes, args.val, args.seed)
    parts = {'labeled': labeled, 'val': val}
    chosen.update(val)
    if args.test_list:
        parts['test'] = read_id_list(args.test_list)
        shared = sorted(set(parts['test']) & set(ids))
        if shared:
            raise DataError(
                f'{args.ids} and {args.test_list} share {len(shared)} ids, such as '
                f'{shared[0]}. Take them out of --ids '
                '(tools/analysis_tools/check_dataset.py --write-clean).'
            )
    else:
        parts['test'] = [i for i in ids if i not in chosen]
    if args.unlabeled_list:
        barred = chosen.union(parts['test'])
        candidates = read_id_list(args.unlabeled_list)
        parts['unlabeled'] = [i for i in candidates if i not in barred]
        if not parts['unlabeled']:
            raise DataError(f'{args.unlabeled_list}: no clip is left. Name another.')
        print(
            f'{args.unlabeled_list}: {len(candidates) - len(parts["unlabeled"])} of '
            f'{len(candidates)} clips are in another part and were taken out'
        )
    return parts


def write_lists(
    out: Path, parts: dict[str, list[str]], settings: dict, overwrite: bool = False
) -> None:
    """Writes lists and splits.json; replaces others only with --overwrite."""
    facts = {
        n: dict(count=len(i), id_list_hash=hash_ids(i), id_list_name=name_list(i))
        for n, i in parts.items()
    }
    texts = {
        f'{name}.txt': format_list(plain_clips(ids), out / f'{name}.txt')
        for name, ids in parts.items()
    }
    texts['splits.json'] = json.dumps(dict(settings, parts=facts), indent=2) + '\n'
    for name, text in texts.items():
        path = out / name
        other = path.exists() and path.read_bytes() != text.encode()
        if other and not overwrite:
            raise DataError(
                f'{path}: exists already with other content. Choose another --out, or '
                'replace all lists there with --overwrite.'
            )
    make_folder(out, '--out')
    if overwrite and 'unlabeled' not in parts:
        (out / 'unlabeled.txt').unlink(missing_ok=True)  # of the former call
    for name, text in texts.items():
        write_result(out / name, text)


def print_parts(parts: dict[str, list[str]], classes: dict[str, str]) -> None:
    """Prints number of clips, id hash and classes of each part."""
    for name, ids in parts.items():
        known = Counter(classes[i] for i in ids if i in classes)
        of_classes = f', {len(known)} classes' if known else ''
        published = f' ({name_list(ids)})' if name_list(ids) else ''
        print(
            f'{name:<11}{len(ids):>7} clips{of_classes}, id list '
            f'{hash_ids(ids)}{published}'
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Divides the clips, writes the lists and reports."""
    args = parse_args(argv)
    with one_clear_error():
        ids = read_id_list(args.ids)
        classes, boxless = read_classes(args.classes)
        parts = divide(args, ids, classes, boxless)
        settings = dict(
            seed=args.seed,
            ids=dict(file=Path(args.ids).name, id_list_hash=hash_ids(ids)),
            stratified=args.classes is not None,
        )
        write_lists(args.out, parts, settings, args.overwrite)
        print_parts(parts, classes)
        if unused := len(set(ids).difference(*parts.values())):
            print(f'{args.ids}: {unused} clips are in no part')
        if not args.test_list:
            print(
                'The test is a part of --ids: its scores do not compare with those of '
                'the whole list.'
            )


if __name__ == '__main__':
    main()
