"""Compares methods trained with the same nets, clips, steps and batches.

A config gives data and nets; each method of configs/methods changes it as
tools/train.py --method does.

Writes DIR/results.json (one row per method, seed and model), tables with mean and
standard deviation over the seeds and paired differences, and curves. In addition to
the usual rules, maps are cut at a threshold that each model chooses on 'val'. Finished
cells are not trained again: an interrupted comparison continues where it stopped, and
a further seed or method takes only its own time. Of a finished cell only the checkpoint
that is scored is kept, and with --share-warmup that of the warm-up's end.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from mmengine.config import DictAction

from mmxpl.utils.cli import (
    load_config,
    make_folder,
    number_in,
    one_clear_error,
    refuse_doubles,
)
from mmxpl.utils.config_overrides import short_name
from mmxpl.utils.errors import DataError

ROOT = Path(__file__).resolve().parents[1]


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--config', help='config file, of data and nets')
    parser.add_argument(
        '--synthetic',
        action='store_true',
        help='take configs/xpl/xpl_synthetic.py, and make its world if it is not there',
    )
    parser.add_argument(
        '--data-root',
        metavar='DIR',
        help='where the data of --config are, as MMXPL_DATA_ROOT in the environment',
    )
    parser.add_argument(
        '--methods',
        nargs='+',
        default=['supervised', 'supcon', 'xpl'],
        help="names of configs/methods, files like those, or 'full' (100 %% labels); "
        'other settings follow after plus signs, such as '
        'xpl+default_hooks.pseudo_label.temperature=0.25',
    )
    parser.add_argument(
        '--labeled',
        type=float,
        nargs='+',
        default=[None],
        help="labeled fractions in (0, 1] (default: the config's fraction or lists)",
    )
    parser.add_argument(
        '--seeds',
        type=number_in(0, 2**32 - 1),
        nargs='+',
        default=[0],
        help='each chooses the labeled clips, the weights and the batches',
    )
    parser.add_argument(
        '--epochs',
        type=number_in(1),
        help="budget of every training (default: the config's)",
    )
    parser.add_argument('--out', required=True, metavar='DIR', help='runs and results')
    parser.add_argument(
        '--splits',
        nargs='+',
        default=['test'],
        help="splits to score: 'test', 'val' (used to choose settings), 'swapped' "
        "(the clips of 'test' with each other's sounds) or the name of "
        "another list beside the config's, such as test_unheard (default: test)",
    )
    parser.add_argument(
        '--jobs', type=number_in(1), default=os.cpu_count(), help='trainings at a time'
    )
    parser.add_argument(
        '--nproc-per-node',
        type=number_in(1),
        default=1,
        help='processes of each training, by torchrun; a batch is divided by them',
    )
    parser.add_argument(
        '--cache', metavar='DIR', help='decode frames and sounds once, into this folder'
    )
    parser.add_argument(
        '--share-warmup',
        action='store_true',
        help='train the warm-up, the epochs before the first pseudo-label, once a seed '
        'and continue all methods that share it from there; the result is the same, '
        'bit for bit',
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision, for all')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='options of all methods, such as train_cfg.max_epochs=48',
    )
    args = parser.parse_args()
    if any(f is not None and not 0 < f <= 1 for f in args.labeled):
        parser.error(f'--labeled: fractions in (0, 1], got {args.labeled}')
    refuse_doubles(parser, '--methods', [short_name(name) for name in args.methods])
    for name in ('labeled', 'seeds', 'splits'):
        refuse_doubles(parser, f'--{name}', getattr(args, name))
    if bool(args.config) == args.synthetic:
        parser.error('name either --config CONFIG or --synthetic')
    if args.synthetic and args.data_root:
        parser.error('--synthetic makes its own data: leave --data-root out')
    args.config = Path(args.config or ROOT / 'configs/xpl/xpl_synthetic.py')
    return args


def prepare_data(args: argparse.Namespace) -> dict[str, str]:
    """Makes missing data; returns the environment variables that name them."""
    env = {}
    if args.synthetic:
        folder = Path('data/synthetic').resolve()
        script = ROOT / 'tools/dataset_converters/make_synthetic.py'
        subprocess.run([sys.executable, script, '--out', folder], check=True)
        env['MMXPL_DATA_ROOT'] = str(folder)
    elif args.data_root:
        folder = Path(args.data_root).resolve()
        if not folder.is_dir():
            raise DataError(f'--data-root: {folder} is no folder.')
        env['MMXPL_DATA_ROOT'] = str(folder)
    if args.cache:
        env['MMXPL_CACHE'] = str(Path(args.cache).resolve())
    # read when the config is
    os.environ.update(env)
    check_splits(args)
    if args.cache:
        script = ROOT / 'tools/dataset_converters/build_cache.py'
        with tempfile.TemporaryDirectory() as temporary:
            configs = [args.config, *configs_of_lists(args, temporary)]
            subprocess.run([sys.executable, script, *configs], check=True)
    return env


def check_splits(args: argparse.Namespace) -> None:
    """Raises a DataError if a list of --splits is not there."""
    from mmxpl.comparison import list_of_split

    cfg = load_config(str(args.config))
    for split in args.splits:
        path = list_of_split(cfg, split)
        if path is not None and not path.is_file():
            raise DataError(
                f"--splits {split}: there is no list '{path}'. Name 'test', 'val', "
                "'swapped' or a list beside the config's test list."
            )


def configs_of_lists(args: argparse.Namespace, folder: str) -> Iterator[Path]:
    """Writes configs that read the lists scored in addition to the config's."""
    from mmxpl.comparison import split_options

    for split in set(args.splits) - {'val', 'test', 'swapped'}:
        cfg = load_config(str(args.config))
        cfg.merge_from_dict(split_options(cfg, split))
        written = Path(folder) / f'{args.config.stem}_{split}.py'
        cfg.dump(written)
        yield written


def about_run(args: argparse.Namespace) -> dict:
    """Collects arguments, commit, PyTorch version and machine."""
    import torch

    return dict(
        arguments={**vars(args), 'config': str(args.config)},
        commit=commit_of(Path(__file__).resolve()),
        torch=torch.__version__,
        machine=f'{os.cpu_count()} x {platform.processor() or platform.machine()}',
    )


def commit_of(path: Path) -> str | None:
    """Describes the commit of a file; None if git is missing or does not track it.

    An installed package may lie in the folder of another repository.
    """
    run = partial(subprocess.run, cwd=path.parent, capture_output=True, text=True)
    with suppress(OSError):
        if run(['git', 'ls-files', '--error-unmatch', path.name]).returncode == 0:
            return run(['git', 'describe', '--always', '--dirty']).stdout.strip()
    return None


def main() -> None:
    """Compares the methods."""
    args = parse_args()
    from mmxpl.comparison import Cell, Comparison, find_method, write_report

    methods = {name: find_method(name) for name in args.methods}
    if not args.config.is_file():
        raise DataError(f'--config: {args.config} does not exist.')
    env = prepare_data(args)
    # a method that does not fit the config is refused before any training
    titles = {name: m.title(m.read(args.config)) for name, m in methods.items()}
    cells = [
        Cell(method, labeled, seed)
        for labeled in args.labeled
        for seed in args.seeds
        for method in args.methods
    ]
    out = Path(args.out).resolve()
    make_folder(out, '--out')
    comparison = Comparison(
        out,
        args.config.resolve(),
        methods,
        splits=args.splits,
        epochs=args.epochs,
        options=args.cfg_options,
        env=env,
        jobs=args.jobs,
        processes=args.nproc_per_node,
        amp=args.amp,
        share_warmup=args.share_warmup,
    )
    results = comparison.run(cells)
    (out / 'run.json').write_text(json.dumps(about_run(args), indent=1))
    text = write_report(results, titles, args.splits, out)
    print(f'\n{text}\nResults: {out}')


if __name__ == '__main__':
    with one_clear_error():
        main()
