"""The demonstration: makes data, trains, tests and draws, on two CPU cores.

Three methods of tools/compare_methods.py with one seed, and pictures of the last.
What is finished already is not done again.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from mmxpl.utils.cli import one_clear_error

ROOT = Path(__file__).resolve().parents[1]
LABELLED = 0.05
CONFIG = ROOT / 'configs/xpl/xpl_synthetic.py'
XPL = 'xpl-votes'  # what does best with so few labels
METHODS = (XPL, 'supcon', 'supervised')  # the longest first
SCORE = 'CIoU@0.5_adaptive'


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data', default='data/synthetic', help='the world')
    parser.add_argument('--out', default='work_dirs/demo', help='runs and results')
    parser.add_argument(
        '--seed',
        type=int,
        default=0,
        help='chooses the labelled clips, the weights and the batches',
    )
    parser.add_argument(
        '--jobs', type=int, default=os.cpu_count(), help='trainings at a time'
    )
    return parser.parse_args()


def draw(folders: dict[str, Path], titles: dict, references: dict, out: Path) -> None:
    """Draws the curves and gathers the pictures of the runs."""
    from mmxpl.comparison import MODEL_TITLES, MODELS
    from mmxpl.visualization import plot_learning_curves

    out.mkdir(exist_ok=True)
    for model in MODELS:
        curves = {
            titles[method]: sorted(map(str, folder.glob('*/vis_data/scalars.json')))
            for method, folder in folders.items()
        }
        plot_learning_curves(
            curves,
            f'{model}/{SCORE}',
            out / f'curves_{model}.png',
            reference=references,
            title=f'Validation, {MODEL_TITLES[model]}',
            ylabel='CIoU@0.5, adaptive rule (%)',
        )
    for strip in sorted((folders[XPL] / 'pseudo_labels').glob('*.png')):
        shutil.copy(strip, out / f'pseudo_labels_{strip.name}')


def draw_predictions(folder: Path, config: Path, env: dict, out: Path) -> None:
    """Draws a few test clips with the maps of a finished training."""
    from mmxpl.comparison import launch

    sheet = out / 'contact_sheet.png'
    if sheet.exists():
        return
    checkpoint = (folder / 'last_checkpoint').read_text().strip()
    command = [str(ROOT / 'tools/test.py'), str(folder / config.name), checkpoint]
    command += ['--work-dir', str(folder / 'pictures')]
    command += ['--show-dir', str(folder / 'pictures')]
    launch(command, folder / 'log.txt', env, 'pictures')
    shutil.copy(next((folder / 'pictures').rglob('contact_sheet.png')), sheet)


def main() -> None:
    """Runs the demonstration."""
    args = parse_args()
    start = time.time()
    data, out = Path(args.data).resolve(), Path(args.out).resolve() / f'seed{args.seed}'
    make = [sys.executable, 'tools/dataset_converters/make_synthetic.py']
    subprocess.run([*make, '--out', str(data)], cwd=ROOT, check=True)

    from mmxpl.comparison import (
        MODELS,
        REFERENCES,
        SCORES,
        Cell,
        Comparison,
        find_method,
        score_table,
    )

    jobs = max(min(args.jobs, len(METHODS)), 1)
    threads = max((os.cpu_count() or 1) // jobs, 1)
    env = dict(MMXPL_DATA_ROOT=str(data), OMP_NUM_THREADS=str(threads))
    # the data's place is read when a config is
    os.environ.update(env)
    out.mkdir(parents=True, exist_ok=True)
    methods = {m: find_method(m) for m in METHODS}
    cells = {m: Cell(m, LABELLED, args.seed) for m in METHODS}
    results = Comparison(out, CONFIG, methods, env=env, jobs=jobs).run(
        list(cells.values())
    )

    scores = {method: results[cell][0]['test'] for method, cell in cells.items()}
    references = {
        title: {s: scores[XPL][f'{row}/{s}'] for s in SCORES}
        for row, title in REFERENCES.items()
    }
    rows = [
        dict(
            method=method,
            seed=args.seed,
            labelled=LABELLED,
            model=model,
            **{s: scores[method][f'{model}/{s}'] for s in SCORES},
        )
        for method in METHODS
        for model in MODELS
    ]
    titles = {m: methods[m].title(methods[m].read(CONFIG)) for m in reversed(METHODS)}
    text = score_table(rows, titles, references, LABELLED)
    (out / 'scores.json').write_text(json.dumps(scores, indent=1))
    (out / 'scores.md').write_text(text + '\n')
    pictures = out / 'pictures'
    folders = {method: cell.folder(out) for method, cell in cells.items()}
    ceilings = {title: values[SCORE] for title, values in references.items()}
    draw(folders, titles, ceilings, pictures)
    draw_predictions(folders[XPL], CONFIG, env, pictures)
    print('\nTest split, per cent, last checkpoint of each run:')
    print(f'\n{text}\n\nScores: {out / "scores.json"}\nPictures: {pictures}')
    print(f'{time.time() - start:.0f} s in all.')


if __name__ == '__main__':
    with one_clear_error():
        main()
