"""Demonstrations on two CPU cores: make data, train, test, draw.

Methods of tools/compare_methods.py with one seed, and pictures of XPL's maps. Without
--real on the synthetic world, with nets trained from scratch; nothing is downloaded.
With --real on scenes of photographs and recordings, with pretrained encoders: the
stamps of Tux Paint are fetched with apt-get (340 MB), the weights are those of pip's
packages (extra 'pretrained'). What is finished already is not done again.
"""

import argparse
import json
import os
import runpy
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mmxpl.utils.cli import make_folder, number_in, one_clear_error, prepare_forks
from mmxpl.utils.errors import DataError

ROOT = Path(__file__).resolve().parents[1]
MAKE = 'tools/dataset_converters/make_synthetic.py'
LABELED = 0.05
SCORE = 'CIoU@0.5_adaptive'
# the stamps, and photographs as backgrounds
PACKAGES = (
    'tuxpaint-stamps-default',
    'mate-backgrounds',
    'lomiri-wallpapers-16.04',
    'lxqt-themes',
    'plasma-workspace-wallpapers',
)


@dataclass(frozen=True)
class Demo:
    """A demonstration."""

    config: str  # data and nets, below configs/
    methods: tuple[str, ...]  # the longest training first, of which maps are drawn
    data: str  # default folder of the data
    out: str  # default folder of the results


DEMOS = dict(
    # votes do best with so few labels from scratch
    synthetic=Demo(
        'xpl/xpl_synthetic.py',
        ('xpl-votes', 'supcon', 'supervised'),
        'data/synthetic',
        'work_dirs/demo',
    ),
    real=Demo(
        'xpl/xpl_pretrained.py',
        ('xpl', 'supcon', 'supervised', 'deaf'),
        'data/tuxpaint',
        'work_dirs/demo_real',
    ),
)


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--real', action='store_true', help='photographs, recordings, real encoders'
    )
    parser.add_argument('--data', help='the clips (default: data/NAME)')
    parser.add_argument('--media', default='data/media', help='packages, with --real')
    parser.add_argument('--weights', default='data/pretrained', help='with --real')
    parser.add_argument('--out', help='runs and results (default: work_dirs/NAME)')
    parser.add_argument(
        '--seed',
        type=number_in(0, 2**32 - 1),
        default=0,
        help='chooses the labeled clips, the weights and the batches',
    )
    parser.add_argument(
        '--jobs', type=number_in(1), default=os.cpu_count(), help='trainings at a time'
    )
    return parser.parse_args()


def run_tool(tool: str, *arguments: str | Path) -> None:
    """Runs a script of the repository in this process, which has imported much already.

    Raises a DataError if it is missing or fails.
    """
    script = ROOT / tool
    if not script.is_file():
        raise DataError(f'{tool}: is missing. Run this from a clone of the repository.')
    kept = sys.argv, sys.path
    sys.argv = [str(script), *map(str, arguments)]
    sys.path = [str(script.parent), *sys.path[1:]]
    try:
        runpy.run_path(sys.argv[0], run_name='__main__')
    except SystemExit as end:
        if end.code:
            raise DataError(f'{tool} failed, see above.') from end
    finally:
        sys.argv, sys.path = kept


def show_facts(data: Path) -> None:
    """Prints the facts of the synthetic world, with low priority."""
    from mmxpl.datasets.synthetic import preset

    os.nice(10)
    runpy.run_path(str(ROOT / MAKE))['print_facts'](data, preset('default'))


def fetch_stamps(media: Path) -> Path:
    """Fetches and unpacks Tux Paint's stamps and backgrounds; nothing is installed.

    Returns the folder. A DataError says that there is no apt-get, or that it fails.
    """
    unpacked = media / 'unpacked'
    if unpacked.exists():
        return unpacked
    if not (shutil.which('apt-get') and shutil.which('dpkg')):
        raise DataError(
            '--real fetches the packages of Debian and Ubuntu with apt-get, which this '
            f'machine lacks. Unpack {PACKAGES[0]} elsewhere and copy it to {unpacked}.'
        )
    media.mkdir(parents=True, exist_ok=True)
    print(f'Fetching {", ".join(PACKAGES)} to {media}', flush=True)
    done = subprocess.run(['apt-get', 'download', '-qq', *PACKAGES], cwd=media)
    if done.returncode:
        raise DataError('apt-get download failed: run "apt-get update" as root first.')
    partial = media / 'unpacked.part'
    for package in sorted(media.glob('*.deb')):
        subprocess.run(['dpkg', '-x', package, partial], check=True)
    partial.rename(unpacked)
    return unpacked


def prepare(args: argparse.Namespace, demo: Demo) -> dict[str, str]:
    """Makes data, weights and features; returns the environment of the config."""
    data = Path(args.data or demo.data).resolve()
    env = dict(MMXPL_DATA_ROOT=str(data))
    build_cache = 'tools/dataset_converters/build_cache.py'
    config = ROOT / 'configs' / demo.config
    if not args.real:
        run_tool(MAKE, '--out', data, '--no-facts')
        prepare_forks().Process(target=show_facts, args=(data,)).start()
        # three trainings read each clip a dozen times; the data's folder may be
        # read-only, and the next --data another
        env['MMXPL_CACHE'] = str(Path(args.out or demo.out).resolve() / 'cache')
        os.environ.update(env)
        run_tool(build_cache, config, '--overwrite')
        return env
    weights = Path(args.weights).resolve()
    env['MMXPL_PRETRAINED'] = str(weights)
    os.environ.update(env)
    names = ('efficientnet_lite0', 'efficientnet_lite2', 'yamnet')
    run_tool('tools/model_converters/pretrained.py', '--out', weights, *names)
    stamps = fetch_stamps(Path(args.media).resolve())
    run_tool(
        'projects/tuxpaint/make_scenes.py',
        *('--stamps', stamps, '--out', data, '--clips', '4000'),
    )
    run_tool(build_cache, config)
    return env


def draw(
    folders: dict[str, Path],
    models: Sequence[str],
    titles: dict,
    references: dict,
    out: Path,
) -> None:
    """Draws the curves and gathers the pictures of the first method's labels."""
    from mmxpl.comparison.tables import MODEL_TITLES
    from mmxpl.visualization import plot_learning_curves

    out.mkdir(exist_ok=True)
    for model in models:
        curves = {titles[method]: folder for method, folder in folders.items()}
        plot_learning_curves(
            curves,
            f'{model}/{SCORE}',
            out / f'curves_{model}.png',
            reference=references,
            title=f'Validation, {MODEL_TITLES.get(model, model.upper())}',
            ylabel='CIoU@0.5, adaptive rule (%)',
        )
    for strip in sorted((next(iter(folders.values())) / 'pseudo_labels').glob('*.png')):
        shutil.copy(strip, out / f'pseudo_labels_{strip.name}')


def draw_predictions(
    folder: Path, config: Path, env: Mapping[str, str], out: Path
) -> None:
    """Draws the first test clips with the maps of a finished training."""
    from mmxpl.comparison import launch

    sheet = out / 'contact_sheet.png'
    if sheet.exists():
        return
    checkpoint = (folder / 'last_checkpoint').read_text().strip()
    command = [str(ROOT / 'tools/test.py'), str(folder / config.name), checkpoint]
    command += ['--work-dir', str(folder / 'pictures')]
    command += ['--show-dir', str(folder / 'pictures'), '--cfg-options']
    # those of the sheet, from a whole batch
    command += ['default_hooks.visualization.max_samples=12']
    command += ['test_dataloader.dataset.indices=56']
    launch(command, folder / 'log.txt', env, 'pictures')
    shutil.copy(next((folder / 'pictures').rglob('contact_sheet.png')), sheet)


def main() -> None:
    """Runs the demonstration."""
    args = parse_args()
    start = time.time()
    demo = DEMOS['real' if args.real else 'synthetic']
    out = Path(args.out or demo.out).resolve() / f'seed{args.seed}'
    config = ROOT / 'configs' / demo.config
    make_folder(out, '--out')
    prepare_forks()
    env = prepare(args, demo)

    from mmxpl.comparison import Cell, Comparison, find_method
    from mmxpl.comparison.tables import models_of, references_of, rows_of, score_table

    # the data's place is read when a config is
    os.environ.update(env)
    methods = {m: find_method(m) for m in demo.methods}
    cells = {m: Cell(m, LABELED, args.seed) for m in demo.methods}
    # bfloat16 where the machine computes it
    precision = {'optim_wrapper.dtype': 'auto'}
    results = Comparison(
        out,
        config,
        methods,
        options=precision,
        env=env,
        jobs=args.jobs,
        amp=True,
        share_warmup=True,
        yields=True,
    ).run(list(cells.values()))

    scores = {method: results[cell][0]['test'] for method, cell in cells.items()}
    first = demo.methods[0]
    references = references_of(scores[first])
    rows = [
        row
        for cell, (found, seconds) in results.items()
        for row in rows_of(cell, 'test', found['test'], seconds)
    ]
    titles = {
        m: methods[m].title(methods[m].read(config)) for m in reversed(demo.methods)
    }
    text = score_table(rows, titles, references, LABELED)
    (out / 'scores.json').write_text(json.dumps(scores, indent=1))
    (out / 'scores.md').write_text(text + '\n')
    pictures = out / 'pictures'
    folders = {method: cell.folder(out) for method, cell in cells.items()}
    ceilings = {title: values[SCORE] for title, values in references.items()}
    with ThreadPoolExecutor() as pool:
        sheet = pool.submit(draw_predictions, folders[first], config, env, pictures)
        draw(folders, models_of(scores[first]), titles, ceilings, pictures)
        sheet.result()
    print('\nTest split, per cent, last checkpoint of each run:')
    print(f'\n{text}\n\nScores: {out / "scores.json"}\nPictures: {pictures}')
    print(f'{time.time() - start:.0f} s in all.')


if __name__ == '__main__':
    with one_clear_error():
        main()
