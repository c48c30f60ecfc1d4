"""The demonstration: makes data, trains, tests and draws, on two CPU cores."""

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
XPL = 'xpl'
METHODS = {
    'supervised': 'configs/baselines/supervised_synthetic.py',
    'supcon': 'configs/baselines/supcon_synthetic.py',
    XPL: 'configs/xpl/xpl_synthetic.py',
}
TITLES = {
    'supervised': 'supervised only',
    'supcon': 'supervised + contrastive',
    XPL: 'XPL',
}
MODELS = {'a': 'A', 'b': 'B', 'single': 'mean of A and B', 'ens': 'ensemble'}
REFERENCES = {
    'ref/whole': 'whole image',
    'ref/disc': 'centred disc',
    'ref/oracle': 'oracle',
}
SCORES = {
    'CIoU@0.5_adaptive': 'CIoU adaptive',
    'AUC_adaptive': 'AUC adaptive',
    'CIoU@0.5_fixed': 'CIoU fixed',
    'AUC_fixed': 'AUC fixed',
    'CIoU@0.5_median': 'CIoU median',
}


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data', default='data/synthetic', help='the world')
    parser.add_argument('--out', default='work_dirs/demo', help='runs and results')
    parser.add_argument(
        '--seeds',
        type=int,
        nargs='+',
        default=[0],
        help='each chooses the labelled clips, the weights and the batches',
    )
    parser.add_argument(
        '--methods', nargs='+', choices=list(METHODS), default=list(METHODS)
    )
    parser.add_argument(
        '--jobs', type=int, default=os.cpu_count(), help='trainings at a time'
    )
    return parser.parse_args()


def run(name: str, command: list[str], log: Path, data: Path, threads: int) -> None:
    """Runs a command; shows how it gets on and writes all it says to a file.

    Raises:
        SystemExit: with the end of what it said, if it fails.
    """
    print(f'[{name}] python {shlex.join(command)}', flush=True)
    paths = [str(ROOT), os.environ.get('PYTHONPATH', '')]
    env = dict(
        os.environ,
        PYTHONPATH=os.pathsep.join(p for p in paths if p),
        PYTHONUNBUFFERED='1',
        OMP_NUM_THREADS=str(threads),
        MMXPL_DATA_ROOT=str(data),
    )
    log.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    with (
        open(log, 'a', encoding='utf-8') as file,
        subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        for line in process.stdout:
            file.write(line)
            lines = [*lines[-20:], line]
            if 'Epoch(train)' in line or 'Curriculum:' in line:
                print(f'[{name}] {line.split(" - ", 3)[-1].strip()[:150]}', flush=True)
    if process.returncode:
        sys.exit(f'[{name}] failed, its log is {log}:\n{"".join(lines)}')


def final_checkpoint(work_dir: Path) -> Path | None:
    """Finds the checkpoint of a finished training."""
    pointer = work_dir / 'last_checkpoint'
    done = (work_dir / 'finished').exists() and pointer.exists()
    return Path(pointer.read_text().strip()) if done else None


def train(method: str, folder: Path, data: Path, seed: int, threads: int) -> Path:
    """Trains a method, or takes the training that was finished before."""
    work_dir, name = folder / method, f'{method}, seed {seed}'
    if final_checkpoint(work_dir) is None:
        command = ['tools/train.py', METHODS[method], '--work-dir', str(work_dir)]
        command += ['--resume', '--cfg-options', f'randomness.seed={seed}']
        command += [
            f'train_dataloader.dataset.datasets.{part}.split_seed={seed}'
            for part in (0, 1)
        ]
        run(name, command, folder / f'{method}.log', data, threads)
        (work_dir / 'finished').touch()
    else:
        print(f'[{name}] was finished before; remove {work_dir} to train anew')
    return final_checkpoint(work_dir)


def newest(folder: Path, pattern: str) -> list[Path]:
    """Lists what matches, oldest first."""
    return sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime)


def test(
    method: str, checkpoint: Path, folder: Path, data: Path, seed: int, threads: int
) -> dict:
    """Scores a checkpoint of a method on the test split, XPL's with pictures."""
    work_dir = folder / f'{method}_test'
    command = ['tools/test.py', METHODS[method], str(checkpoint)]
    command += ['--work-dir', str(work_dir)]
    if method == XPL:
        command += ['--show-dir', str(work_dir / 'pictures')]
    run(f'{method}, seed {seed}', command, folder / f'{method}.log', data, threads)
    scores = json.loads(newest(work_dir, '*/*.json')[-1].read_text())
    for score in SCORES:
        values = [scores[f'{model}/{score}'] for model in ('a', 'b')]
        scores[f'single/{score}'] = sum(values) / len(values)
    return scores


def table(runs: list[dict[str, dict]]) -> str:
    """Writes the scores of one run per seed as a Markdown table, in per cent."""
    lines = [
        '| method | model | ' + ' | '.join(SCORES.values()) + ' |',
        '| --- | --- |' + ' ---: |' * len(SCORES),
    ]
    rows = [
        (method, TITLES[method], model, title)
        for method in runs[0]
        for model, title in MODELS.items()
    ]
    if len(runs) > 1 and {'supcon', XPL} <= set(runs[0]):
        runs = [{**run, 'lead': difference(run[XPL], run['supcon'])} for run in runs]
        rows += [
            ('lead', f'{TITLES[XPL]} - {TITLES["supcon"]}', model, title)
            for model, title in MODELS.items()
        ]
    any_method = next(iter(runs[0]))
    rows += [(any_method, 'reference', row, t) for row, t in REFERENCES.items()]
    for method, title, model, name in rows:
        cells = [
            cell([run[method][f'{model}/{key}'] for run in runs]) for key in SCORES
        ]
        lines.append(f'| {title} | {name} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def difference(scores: dict[str, float], others: dict[str, float]) -> dict[str, float]:
    """Subtracts the scores of one run from those of another of the same seed."""
    keys = [f'{model}/{score}' for model in MODELS for score in SCORES]
    return {key: scores[key] - others[key] for key in keys}


def cell(values: list[float]) -> str:
    """Writes a score, with its standard deviation where there are several."""
    if len(values) == 1:
        return f'{values[0]:.1f}'
    return f'{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}'


def draw(scores: dict[str, dict], folder: Path) -> Path:
    """Draws the curves and gathers the pictures of one seed's runs."""
    from mmxpl.visualization import plot_learning_curves

    pictures = folder / 'pictures'
    key = 'CIoU@0.5_adaptive'
    any_scores = next(iter(scores.values()))
    for model in ('a', 'b', 'ens'):
        plot_learning_curves(
            {
                TITLES[method]: [
                    str(path)
                    for path in newest(folder / method, '*/vis_data/scalars.json')
                ]
                for method in scores
            },
            f'{model}/{key}',
            pictures / f'curves_{model}.png',
            reference={
                title: any_scores[f'{row}/{key}']
                for row, title in REFERENCES.items()
                if row != 'ref/oracle'
            },
            title=f'Validation, {MODELS[model]}',
            ylabel='CIoU@0.5, adaptive rule (%)',
        )
    for strip in newest(folder / XPL, 'pseudo_labels/*.png'):
        shutil.copy(strip, pictures / f'pseudo_labels_{strip.name}')
    sheet = folder / f'{XPL}_test/pictures/contact_sheet.png'
    if sheet.exists():
        shutil.copy(sheet, pictures / 'contact_sheet.png')
    return pictures


def main() -> None:
    """Runs the demonstration; what is finished already is not done again."""
    args = parse_args()
    sys.path.insert(0, str(ROOT))
    start = time.time()
    data, out = Path(args.data).resolve(), Path(args.out).resolve()
    make = [sys.executable, 'tools/dataset_converters/make_synthetic.py']
    subprocess.run([*make, '--out', str(data)], cwd=ROOT, check=True)
    # the longest first, one after the other on as many cores as there are
    tasks = [(seed, method) for seed in args.seeds for method in reversed(args.methods)]
    jobs = min(args.jobs, len(tasks))
    threads = max(args.jobs // jobs, 1)

    def work(task: tuple[int, str]) -> dict:
        seed, method = task
        folder = out / f'seed{seed}'
        checkpoint = train(method, folder, data, seed, threads)
        return test(method, checkpoint, folder, data, seed, threads)

    with ThreadPoolExecutor(jobs) as pool:
        results = dict(zip(tasks, pool.map(work, tasks), strict=True))
    by_seed = {
        seed: {method: results[seed, method] for method in args.methods}
        for seed in args.seeds
    }
    for seed, scores in by_seed.items():
        pictures = draw(scores, out / f'seed{seed}')
    (out / 'scores.json').write_text(json.dumps(by_seed, indent=2))
    text = table(list(by_seed.values()))
    (out / 'scores.md').write_text(text + '\n')
    seeds = ', '.join(map(str, args.seeds))
    print('\nTest split, per cent, last checkpoint of each run; seeds:', seeds)
    print(f'\n{text}\n\nScores: {out / "scores.json"}\nPictures: {pictures}')
    print(f'{time.time() - start:.0f} s in all.')


if __name__ == '__main__':
    main()
