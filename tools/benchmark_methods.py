"""Compares methods: every one trained with the same nets, clips, steps and batches.

Writes DIR/results.json (one row per method, seed and model), tables with mean and
standard deviation over the seeds and paired differences, and curves. What was
finished before is not done again, so that an interrupted comparison goes on where it
stopped and a further seed or method costs its own time alone.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mmengine.config import Config, DictAction

from mmxpl.utils.cli import one_clear_error
from mmxpl.utils.config_options import merge_options
from mmxpl.utils.errors import DataError

ROOT = Path(__file__).resolve().parents[1]
MODELS = ('a', 'b', 'ens')
REFERENCES = {'ref/whole': 'whole image', 'ref/disc': 'centred disc'}


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
    parser.add_argument('--methods', nargs='+', default=['supervised', 'supcon', 'xpl'])
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
    parser.add_argument('--out', required=True, metavar='DIR', help='runs and results')
    parser.add_argument(
        '--split',
        choices=('val', 'test'),
        default='test',
        help='what is scored; settings are chosen on val (default: test)',
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
        script = ROOT / 'tools/dataset_converters/build_cache.py'
        command = [sys.executable, script, *configs]
        subprocess.run(command, check=True, env={**os.environ, **env})
    return env


def test_options(cfg: Config, split: str) -> dict:
    """Options that make the test read a split."""
    if split == 'test':
        return {}
    lists = {
        key: cfg.val_dataloader.dataset[key]
        for key in ('id_list', 'ann_file', 'split')
        if key in cfg.val_dataloader.dataset
    }
    return {f'test_dataloader.dataset.{k}': v for k, v in lists.items()}


def rows_of(cell, scores: dict[str, float]) -> list[dict]:
    """Rows of results.json of one cell."""
    from mmxpl.benchmark import SCORES

    about = dict(method=cell.method, seed=cell.seed, labelled=cell.labelled)
    return [
        dict(
            **about,
            model=model,
            **{score: round(scores[f'{model}/{score}'], 4) for score in SCORES},
            seconds=round(scores['seconds'], 1),
        )
        for model in MODELS
    ]


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
        threads_per_job=max((os.cpu_count() or 1) // args.jobs, 1),
    )


def report(rows: list[dict], references: dict, args: argparse.Namespace) -> str:
    """Writes tables, curves and figures; returns the text of the tables."""
    from mmxpl.benchmark import (
        METHODS,
        Cell,
        draw_curves,
        draw_efficiency,
        paired_differences,
        read_curves,
        score_table,
        write_curves,
    )

    out = Path(args.out)
    titles = {method: METHODS[method].title for method in args.methods}
    parts = []
    for labelled in args.labelled:
        share = 'lists of the config' if labelled is None else f'{100 * labelled:g} %'
        seeds = ', '.join(map(str, args.seeds))
        parts.append(f'## Labelled: {share}; split: {args.split}; seeds: {seeds}\n')
        parts.append(score_table(rows, titles, references, labelled) + '\n')
        if 'xpl' in titles and len(titles) > 1:
            parts.append('Differences of the same seed, and how many are above 0:\n')
            parts.append(paired_differences(rows, 'xpl', titles, labelled) + '\n')
        curves = {
            method: [
                read_curves(Cell(method, labelled, seed).folder(out))
                for seed in args.seeds
            ]
            for method in args.methods
        }
        name = 'curves' if labelled is None else f'curves_labelled{labelled:g}'
        write_curves(curves, out / f'{name}.csv')
        draw_curves(curves, titles, out / f'{name}.png')
    if len(args.labelled) > 1:
        draw_efficiency(rows, titles, out / 'efficiency.png')
    text = '\n'.join(parts)
    (out / 'results.md').write_text(text)
    return text


def main() -> None:
    """Compares."""
    args = parse_args()
    from mmxpl.benchmark import (
        Cell,
        find_lenders,
        find_method,
        options_of,
        run_cell,
        warm_up_epochs,
    )

    found = {m: find_method(m, args.suite, ROOT / 'configs') for m in args.methods}
    env = prepare_data(args, [config for _, config in found.values()])
    # the data's place is read when a config is
    os.environ.update(env)
    jobs = max(min(args.jobs, len(args.methods) * len(args.seeds)), 1)
    threads = max((os.cpu_count() or 1) // (jobs * args.nproc_per_node), 1)
    env['OMP_NUM_THREADS'] = str(threads)
    out = Path(args.out).resolve()
    out.mkdir(parents=True, exist_ok=True)

    keep = {'default_hooks.checkpoint.max_keep_ckpts': -1} if args.share_warmup else {}

    def plan(cell: Cell) -> tuple[Config, dict]:
        method, config = found[cell.method]
        options = options_of(
            method,
            Config.fromfile(config),
            cell.labelled,
            cell.seed,
            args.nproc_per_node,
        )
        options |= keep | args.cfg_options
        cfg = Config.fromfile(config)
        merge_options(cfg, options)
        return cfg, options

    def work(cell: Cell) -> tuple[list[dict], dict[str, float]]:
        cfg, options = plans[cell]
        warm_start = None
        if cell in lenders:
            lender = lenders[cell]
            futures[lender].result()
            epochs = warm_up_epochs(plans[lender][0])
            warm_start = lender.folder(out) / f'epoch_{epochs}.pth'
        scores = run_cell(
            cell,
            found[cell.method][1],
            options,
            out,
            env,
            test_options=test_options(cfg, args.split),
            warm_start=warm_start,
            processes=args.nproc_per_node,
            amp=args.amp,
        )
        return rows_of(cell, scores), scores

    cells = [
        Cell(method, labelled, seed)
        for labelled in args.labelled
        for seed in args.seeds
        for method in args.methods
    ]
    plans = {cell: plan(cell) for cell in cells}
    lenders = {}
    if args.share_warmup:
        lenders = find_lenders({cell: cfg for cell, (cfg, _) in plans.items()})
    # who lends comes first: nobody waits for one that waits itself
    cells.sort(key=lambda cell: cell in lenders)
    with ThreadPoolExecutor(jobs) as pool:
        futures = {}
        for cell in cells:
            futures[cell] = pool.submit(work, cell)
        results = [futures[cell].result() for cell in cells]
    rows = [row for found_rows, _ in results for row in found_rows]
    any_scores = results[0][1]
    references = {
        title: {
            key.removeprefix(f'{row}/'): value
            for key, value in any_scores.items()
            if key.startswith(f'{row}/')
        }
        for row, title in REFERENCES.items()
    }
    (out / 'results.json').write_text(json.dumps(rows, indent=1))
    (out / 'run.json').write_text(json.dumps(about_run(args), indent=1))
    print(f'\n{report(rows, references, args)}\nResults: {out}')


if __name__ == '__main__':
    with one_clear_error():
        main()
