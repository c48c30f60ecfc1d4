"""The demonstration: makes data, trains, tests and draws, on two CPU cores."""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
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
MODELS = {'a': 'A', 'b': 'B', 'ens': 'ensemble'}
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
    parser.add_argument('--seed', type=int, default=0, help='of weights and batches')
    parser.add_argument(
        '--methods', nargs='+', choices=list(METHODS), default=list(METHODS)
    )
    return parser.parse_args()


def run(*command: str, data: Path) -> None:
    """Prints a command and runs it; the demonstration ends where one fails."""
    print(f'\n$ {shlex.join(("python", *command))}', flush=True)
    paths = [str(ROOT), os.environ.get('PYTHONPATH', '')]
    env = dict(
        os.environ,
        PYTHONPATH=os.pathsep.join(p for p in paths if p),
        MMXPL_DATA_ROOT=str(data),
    )
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=env)
    if done.returncode:
        sys.exit(f'The command above failed with status {done.returncode}.')


def final_checkpoint(work_dir: Path) -> Path | None:
    """Finds the checkpoint of a finished training."""
    pointer = work_dir / 'last_checkpoint'
    done = (work_dir / 'finished').exists() and pointer.exists()
    return Path(pointer.read_text().strip()) if done else None


def train(method: str, work_dir: Path, data: Path, seed: int) -> Path:
    """Trains a method, or takes the training that was finished before."""
    if final_checkpoint(work_dir) is None:
        run(
            'tools/train.py',
            METHODS[method],
            '--work-dir',
            str(work_dir),
            '--resume',
            '--cfg-options',
            f'randomness.seed={seed}',
            data=data,
        )
        (work_dir / 'finished').touch()
    else:
        print(f'\n{work_dir}: finished before; remove the folder to train anew.')
    return final_checkpoint(work_dir)


def newest(folder: Path, pattern: str) -> list[Path]:
    """Lists what matches, oldest first."""
    return sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime)


def test(method: str, checkpoint: Path, out: Path, data: Path) -> dict:
    """Scores the last checkpoint of a method on the test split."""
    work_dir = out / f'{method}_test'
    command = ['tools/test.py', METHODS[method], str(checkpoint)]
    command += ['--work-dir', str(work_dir)]
    if method == XPL:
        command += ['--show-dir', str(out / 'pictures/test')]
    run(*command, data=data)
    return json.loads(newest(work_dir, '*/*.json')[-1].read_text())


def table(scores: dict[str, dict]) -> str:
    """Writes the scores as a Markdown table, in per cent."""
    lines = [
        '| method | model | ' + ' | '.join(SCORES.values()) + ' |',
        '| --- | --- |' + ' ---: |' * len(SCORES),
    ]
    rows = [
        (TITLES[method], title, values, model)
        for method, values in scores.items()
        for model, title in MODELS.items()
    ]
    any_scores = next(iter(scores.values()))
    rows += [('reference', t, any_scores, row) for row, t in REFERENCES.items()]
    for method, model, values, key in rows:
        cells = [f'{values[f"{key}/{score}"]:.1f}' for score in SCORES]
        lines.append(f'| {method} | {model} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def draw(scores: dict[str, dict], out: Path) -> Path:
    """Draws the curves and gathers the pictures of the run."""
    from mmxpl.visualization import plot_learning_curves

    pictures = out / 'pictures'
    key = 'CIoU@0.5_adaptive'
    any_scores = next(iter(scores.values()))
    for model, title in MODELS.items():
        plot_learning_curves(
            {
                TITLES[method]: [
                    str(path)
                    for path in newest(out / method, '*/vis_data/scalars.json')
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
            title=f'Validation, {title}',
            ylabel='CIoU@0.5, adaptive rule (%)',
        )
    for strip in newest(out / XPL, 'pseudo_labels/*.png'):
        shutil.copy(strip, pictures / f'pseudo_labels_{strip.name}')
    sheet = pictures / 'test/contact_sheet.png'
    if sheet.exists():
        shutil.copy(sheet, pictures / 'contact_sheet.png')
    return pictures


def main() -> None:
    """Runs the demonstration; what is finished already is not done again."""
    args = parse_args()
    start = time.time()
    data, out = Path(args.data).resolve(), Path(args.out).resolve()
    run('tools/dataset_converters/make_synthetic.py', '--out', str(data), data=data)
    scores, seconds = {}, {}
    for method in args.methods:
        begin = time.time()
        checkpoint = train(method, out / method, data, args.seed)
        scores[method] = test(method, checkpoint, out, data)
        seconds[method] = time.time() - begin
    (out / 'scores.json').write_text(json.dumps(scores, indent=2))
    sys.path.insert(0, str(ROOT))
    pictures = draw(scores, out)
    text = table(scores)
    (out / 'scores.md').write_text(text + '\n')
    print(f'\nTest split, per cent, last checkpoint of each run, seed {args.seed}:\n')
    print(text)
    spent = ', '.join(f'{m} {s:.0f} s' for m, s in seconds.items())
    print(f'\nScores: {out / "scores.json"}\nPictures: {pictures}')
    print(f'{time.time() - start:.0f} s in all ({spent}).')


if __name__ == '__main__':
    main()
