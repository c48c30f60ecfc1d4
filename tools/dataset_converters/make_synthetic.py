"""Makes the synthetic world: JPEG and WAV files from a seed."""

import argparse
import os
import time
from collections import Counter
from dataclasses import fields

from mmxpl.datasets.synthetic import (
    DIFFICULTIES,
    RULES,
    SPLITS,
    WorldConfig,
    area_facts,
    box_areas,
    load_entries,
    preset,
    reference_rows,
    write_world,
)
from mmxpl.utils.cli import number_in, one_clear_error


def parse_args(argv=None) -> argparse.Namespace:
    """Parses the command line; omitted options have the value of the difficulty."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', default='data/synthetic', help='folder to write')
    parser.add_argument('--difficulty', choices=DIFFICULTIES, default='default')
    parser.add_argument('--workers', type=number_in(1), default=os.cpu_count())
    parser.add_argument(
        '--no-facts', action='store_true', help='print no statistics of the world'
    )
    for field in fields(WorldConfig):
        several = dict(nargs=3) if field.name == 'objects' else {}
        kind = int if isinstance(field.default, int) else float
        parser.add_argument(
            '--' + field.name.replace('_', '-'),
            type=number_in(*field.metadata['range'], kind=kind),
            default=argparse.SUPPRESS,
            help=f'{field.metadata["help"]} (default: {field.default})',
            **several,
        )
    args = parser.parse_args(argv)
    if 'objects' in args and not any(args.objects):
        parser.error('--objects: one of the weights must be more than 0')
    return args


def print_facts(root: str, config: WorldConfig) -> None:
    """Prints counts, areas and reference rows of a world on disk."""
    import torch

    torch.set_num_threads(1)  # more would wait for each other: maps are small
    splits = load_entries(root)
    print(
        '\nclips        ' + '  '.join(f'{s} {len(splits.get(s, []))}' for s in SPLITS)
    )
    entries = [e for s in SPLITS for e in splits.get(s, [])]
    if not entries:
        return
    count = [len(e['objects']) for e in entries]
    sounding = [sum(o['sounding'] for o in e['objects']) for e in entries]
    classes = {o['category'] for e in entries for o in e['objects']}
    print(f'classes      {len(classes)}')
    for name, values in (('objects', count), ('sounding', sounding)):
        counts = sorted(Counter(values).items())
        shares = (f'{v}: {100 * n / len(values):.1f} %' for v, n in counts)
        print(f'{name:<12} ' + '  '.join(shares))
    keys = ('n', 'mean', 'median', 'small', 'medium', 'large', 'huge')
    print('\nbox area / frame   ' + ''.join(f'{k:>8}' for k in keys))
    for name, areas in box_areas(entries).items():
        if areas:
            facts = area_facts(areas)
            row = ''.join(f'{facts[k]:8.3f}' for k in keys[1:])
            print(f'{name:<19}{facts["n"]:8d}{row}')
    if not splits.get('test'):
        return
    print(f'\n{"CIoU@0.5 on test":<23}' + ''.join(f'{rule:>10}' for rule in RULES))
    for name, row in reference_rows(splits['test'], config.two_sounding).items():
        print(f'{name:<23}' + ''.join(f'{row[rule]:10.1f}' for rule in RULES))


def main(argv=None) -> None:
    """Makes the world and prints its statistics."""
    args = vars(parse_args(argv))
    out, workers, quiet = (args.pop(key) for key in ('out', 'workers', 'no_facts'))
    with one_clear_error():
        if 'objects' in args:
            args['objects'] = tuple(args['objects'])
        config = preset(args.pop('difficulty'), **args)
        start = time.perf_counter()
        if write_world(out, config, workers):
            print(f'{out}: written in {time.perf_counter() - start:.0f} s')
        else:
            print(f'{out}: this world is there already, nothing to do')
        if not quiet:
            print_facts(out, config)


if __name__ == '__main__':
    main()
