"""Compares methods: every one trained with the same nets, clips, steps and batches.

Writes DIR/results.json (one row per method, seed and model), tables with mean and
standard deviation over the seeds and paired differences, and curves. Beside the usual
rules maps are cut at a threshold of each model's own, chosen on 'val'. What was
finished before is not done again, so that an interrupted comparison goes on where it
stopped and a further seed or method costs its own time alone.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config, DictAction

from mmxpl.utils.cli import one_clear_error
from mmxpl.utils.errors import DataError

ROOT = Path(__file__).resolve().parents[1]


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument(
        '--synthetic',
        action='store_true',
        help='on the synthetic world, which is made if it is not there',
    )
    data.add_argument(
        '--data-root', metavar='DIR', help='on a folder that the configs can read'
    )
    parser.add_argument(
        '--suite',
        help="which configs to take: '{method}_{suite}.py' (default: synthetic, or "
        'vggss with --data-root)',
    )
    parser.add_argument(
        '--methods',
        nargs='+',
        default=['supervised', 'supcon', 'xpl'],
        help='names, each with other settings after plus signs if need be, such as '
        'xpl+CrossPseudoLabelHook.temperature=0.25',
    )
    parser.add_argument(
        '--labelled',
        type=float,
        nargs='+',
        help='labelled fractions in (0, 1] (default: 0.05, or with --data-root the '
        "configs' lists)",
    )
    parser.add_argument(
        '--seeds',
        type=int,
        nargs='+',
        default=[0],
        help='each chooses the labelled clips, the weights and the batches',
    )
    parser.add_argument(
        '--epochs', type=int, help="budget of every training (default: the configs')"
    )
    parser.add_argument('--out', required=True, metavar='DIR', help='runs and results')
    parser.add_argument(
        '--splits',
        nargs='+',
        default=['test'],
        help="what is scored: 'test', 'val' (settings are chosen on it) or the name of "
        "another list beside the config's, such as test_unheard (default: test)",
    )
    parser.add_argument(
        '--jobs', type=int, default=os.cpu_count(), help='trainings at a time'
    )
    parser.add_argument(
        '--nproc-per-node',
        type=int,
        default=1,
        help='processes of each training, by torchrun; a batch is divided by them',
    )
    parser.add_argument(
        '--cache', metavar='DIR', help='decode frames and sounds once, into this folder'
    )
    parser.add_argument(
        '--share-warmup',
        action='store_true',
        help='train the epochs before the first pseudo-label once a seed, by the '
        'first method that has them, and let all that begin alike go on from there; '
        'the result is the same, bit for bit',
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision, for all')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='options for all methods alike, such as train_cfg.max_epochs=48',
    )
    args = parser.parse_args()
    if args.labelled is None:
        args.labelled = [0.05] if args.synthetic else [None]
    if any(f is not None and not 0 < f <= 1 for f in args.labelled):
        parser.error(f'--labelled: fractions in (0, 1], got {args.labelled}')
    args.suite = args.suite or ('synthetic' if args.synthetic else 'vggss')
    return args


def prepare_data(args: argparse.Namespace, configs: list[Path]) -> dict[str, str]:
    """Makes what is asked for and not there; returns where the configs find it."""
    if args.data_root:
        folder = Path(args.data_root).resolve()
        if not folder.is_dir():
            raise DataError(f'--data-root: {folder} is no folder.')
    else:
        folder = (ROOT / 'data/synthetic').resolve()
        script = ROOT / 'tools/dataset_converters/make_synthetic.py'
        subprocess.run([sys.executable, script, '--out', folder], check=True)
    env = dict(MMXPL_DATA_ROOT=str(folder))
    if args.cache:
        env['MMXPL_CACHE'] = str(Path(args.cache).resolve())
    # the data's place is read when a config is
    os.environ.update(env)
    if args.cache:
        script = ROOT / 'tools/dataset_converters/build_cache.py'
        with tempfile.TemporaryDirectory() as temporary:
            configs = [*configs, *configs_of_lists(configs, args.splits, temporary)]
            subprocess.run([sys.executable, script, *configs], check=True)
    return env


def configs_of_lists(
    configs: list[Path], splits: list[str], folder: str
) -> Iterator[Path]:
    """Writes configs that read the lists which are scored besides their own."""
    from mmxpl.benchmark import split_options

    for path in configs:
        for split in set(splits) - {'val', 'test'}:
            cfg = Config.fromfile(path)
            cfg.merge_from_dict(split_options(cfg, split))
            written = Path(folder) / f'{path.stem}_{split}.py'
            cfg.dump(written)
            yield written


def about_run(args: argparse.Namespace) -> dict:
    """What the results were made with."""
    import torch

    commit = subprocess.run(
        ['git', 'describe', '--always', '--dirty'],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    return dict(
        arguments=vars(args),
        commit=commit.stdout.strip() or None,
        torch=torch.__version__,
        machine=f'{os.cpu_count()} x {platform.processor() or platform.machine()}',
    )


def main() -> None:
    """Compares."""
    args = parse_args()
    from mmxpl.benchmark import Cell, Comparison, find_method, write_report

    found = {m: find_method(m, args.suite, ROOT / 'configs') for m in args.methods}
    env = prepare_data(args, [config for _, config in found.values()])
    cells = [
        Cell(method, labelled, seed)
        for labelled in args.labelled
        for seed in args.seeds
        for method in args.methods
    ]
    jobs = max(min(args.jobs, len(cells)), 1)
    threads = max((os.cpu_count() or 1) // (jobs * args.nproc_per_node), 1)
    out = Path(args.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    comparison = Comparison(
        out,
        found,
        splits=args.splits,
        epochs=args.epochs,
        options=args.cfg_options,
        env={**env, 'OMP_NUM_THREADS': str(threads)},
        jobs=jobs,
        processes=args.nproc_per_node,
        amp=args.amp,
        share_warmup=args.share_warmup,
    )
    results = comparison.run(cells)
    (out / 'run.json').write_text(json.dumps(about_run(args), indent=1))
    titles = {name: method.title for name, (method, _) in found.items()}
    text = write_report(results, titles, args.splits, out)
    print(f'\n{text}\nResults: {out}')


if __name__ == '__main__':
    with one_clear_error():
        main()
