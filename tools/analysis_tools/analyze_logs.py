"""Plots the scalars that trainings logged, and computes their training time.

A RUN is a work directory, all of whose logs are joined (a resumed run has several),
or one vis_data/scalars.json.

  analyze_logs.py keys RUN
  analyze_logs.py plot_curve RUN ... --keys ens/CIoU@0.5_adaptive --reference
  analyze_logs.py plot_curve RUN --keys a.loss_pseudo b.loss_pseudo --out losses.csv
  analyze_logs.py cal_train_time RUN
"""

import argparse
import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmxpl.utils import DataError
from mmxpl.utils.cli import one_clear_error


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    tasks = parser.add_subparsers(dest='task', required=True)
    plot = tasks.add_parser('plot_curve', help='curves as a picture or a table')
    plot.add_argument('--keys', nargs='+', required=True, help='logged keys')
    plot.add_argument(
        '--legend',
        nargs='+',
        metavar='NAME',
        help='names of the runs, or of keys of one run',
    )
    plot.add_argument('--title', default='')
    plot.add_argument('--ylabel', help='(default: the score that the keys share)')
    plot.add_argument(
        '--reference',
        action='store_true',
        help='reference rows of the same score as flat lines; for keys such as '
        'ens/CIoU@0.5_adaptive',
    )
    plot.add_argument(
        '--out',
        type=Path,
        default=Path('curves.png'),
        metavar='FILE',
        help='.png, or .csv with run, key, step, value (default: curves.png)',
    )
    tasks.add_parser('cal_train_time', help='time of an iteration')
    tasks.add_parser('keys', help='keys that a run logged')
    for task in tasks.choices.values():
        task.add_argument('runs', nargs='+', metavar='RUN')
    args = parser.parse_args(argv)
    if args.task == 'plot_curve':
        if args.out.suffix not in ('.png', '.csv'):
            parser.error('--out must end in .png or .csv')
        many = len(args.runs) if len(args.runs) > 1 else len(args.keys)
        if args.legend and len(args.legend) != many:
            parser.error(f'--legend needs {many} names, got {len(args.legend)}')
    return args


def run_names(runs: Sequence[str]) -> list[str]:
    """Names runs by the shortest ends of their paths that differ."""
    parts = [Path(run).resolve().parts for run in runs]
    for length in range(1, max(map(len, parts))):
        names = ['/'.join(p[-length:]) for p in parts]
        if len(set(names)) == len(names):
            return names
    raise DataError('the same run is named twice.')


def axis(records: Sequence[Mapping], keys: Sequence[str]) -> str:
    """Returns 'Iteration' for keys logged while training, else 'Epoch'.

    Raises a DataError if the keys do not share one axis.
    """
    kinds = {
        key: {'Iteration' if 'iter' in record else 'Epoch'}
        for key in keys
        for record in records
        if key in record
    }
    found = set().union(*kinds.values())
    if len(found) > 1:
        raise DataError(
            '--keys: some are logged by iteration, others by epoch ('
            + ', '.join(f'{key}: {kind.pop()}' for key, kind in kinds.items())
            + '): plot them apart.'
        )
    return found.pop() if found else 'Epoch'


def references(records: Sequence[Mapping], keys: Sequence[str]) -> dict[str, float]:
    """Finds the reference rows, by title, of the score that all keys are of.

    A DataError says that they are of several scores, or that there is no row.
    """
    from mmxpl.evaluation.functional import REFERENCE_NAMES

    scores = sorted({key.split('/')[-1] for key in keys})
    last = {key: value for record in records for key, value in record.items()}
    rows = {
        title: last[f'{row}/{scores[0]}']
        for row, title in REFERENCE_NAMES.items()
        if len(scores) == 1 and f'{row}/{scores[0]}' in last
    }
    if not rows:
        raise DataError(
            f'--reference: no reference rows for {", ".join(scores)}. There '
            'are some for one score of validation at a time, such as CIoU@0.5_adaptive.'
        )
    return rows


def plot_curve(args: argparse.Namespace) -> None:
    """Writes curves as a picture or a table."""
    from mmxpl.visualization.charts import plot_learning_curves, read_run, score_curve

    names = run_names(args.runs)
    if args.legend and len(args.runs) > 1:
        names = args.legend
    runs = dict(zip(names, map(read_run, args.runs), strict=True))
    known = {key for records in runs.values() for record in records for key in record}
    for name, records in runs.items():
        for key in args.keys:
            if not any(key in record for record in records):
                raise DataError(
                    f'--keys: {name} has no {key!r}; it has '
                    f'{", ".join(sorted(known - {"step"}))}.'
                )
    everything = [record for records in runs.values() for record in records]
    xlabel = axis(everything, args.keys)
    if args.out.suffix == '.csv':
        args.out.parent.mkdir(parents=True, exist_ok=True)
        with open(args.out, 'w', newline='', encoding='utf-8') as file:
            table = csv.writer(file)
            table.writerow(['run', 'key', xlabel.lower(), 'value'])
            for name, records in runs.items():
                for key in args.keys:
                    for step, value in zip(*score_curve(records, key), strict=True):
                        table.writerow([name, key, step, value])
    else:
        labels = None
        if args.legend and len(runs) == 1:
            labels = dict(zip(args.keys, args.legend, strict=True))
        scores = {key.split('/')[-1] for key in args.keys}
        plot_learning_curves(
            runs if len(runs) > 1 else {'': everything},
            args.keys,
            args.out,
            reference=references(everything, args.keys) if args.reference else None,
            labels=labels,
            title=args.title,
            xlabel=xlabel,
            ylabel=args.ylabel or (scores.pop() if len(scores) == 1 else ''),
        )
    print(f'{args.out}: {len(args.keys)} keys of {len(runs)} runs')


def cal_train_time(args: argparse.Namespace) -> None:
    """Prints the time of iterations."""
    from mmxpl.visualization.charts import read_run

    for name, path in zip(run_names(args.runs), args.runs, strict=True):
        epochs: dict[int, list[float]] = {}
        for record in read_run(path):
            if 'time' in record and 'epoch' in record and 'iter' in record:
                epochs.setdefault(record['epoch'], []).append(record['time'])
        if not epochs:
            raise DataError(f'{path}: has no training time by epoch.')
        means = {epoch: sum(times) / len(times) for epoch, times in epochs.items()}
        slow, fast = max(means, key=means.get), min(means, key=means.get)
        print(
            f'{name}: {sum(means.values()) / len(means):.4f} s an iteration; slowest '
            f'epoch {slow}: {means[slow]:.4f} s, fastest {fast}: {means[fast]:.4f} s'
        )


def keys(args: argparse.Namespace) -> None:
    """Prints the keys that runs logged."""
    from mmxpl.visualization.charts import read_run

    for name, path in zip(run_names(args.runs), args.runs, strict=True):
        found = Counter(key for record in read_run(path) for key in record)
        print(f'{name}:')
        for key in sorted(set(found) - {'step'}):
            print(f'  {key} ({found[key]})')


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the task of the command line."""
    args = parse_args(argv)
    with one_clear_error():
        tasks = dict(plot_curve=plot_curve, cal_train_time=cal_train_time, keys=keys)
        tasks[args.task](args)


if __name__ == '__main__':
    main()
