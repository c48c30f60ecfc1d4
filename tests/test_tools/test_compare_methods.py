"""The benchmark as a user calls it, on a world of a few clips."""

import csv
import json
import os
import runpy
import subprocess
from pathlib import Path

import pytest
import torch

# what is trained once is trained by one process of pytest-xdist
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group('benchmark')]

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = (
    'train_cfg.max_epochs=2',
    'train_cfg.val_interval=1',
    'train_cfg.warmup_epochs=1',
    'train_dataloader.sampler.labeled_per_batch=2',
    'train_dataloader.sampler.unlabeled_per_batch=2',
    'train_dataloader.sampler.num_batches=2',
    *(
        f'{part}_dataloader.{key}'
        for part in ('train', 'val', 'test')
        for key in ('num_workers=0', 'persistent_workers=False')
    ),
)
METHODS = ('xpl-no_ema', 'xpl')


def compare(python, world, out, *args):
    return subprocess.run(
        [
            *(python, 'tools/compare_methods.py'),
            *('--config', 'configs/xpl/xpl_synthetic.py'),
            *('--data-root', str(world), '--out', str(out)),
            *('--labeled', '0.5', '--jobs', '1', *args),
            *('--cfg-options', *OPTIONS),
        ],
        cwd=ROOT,
        env=dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1'),
        capture_output=True,
        text=True,
        timeout=900,
    )


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    from mmxpl.datasets.synthetic import WorldConfig, write_world

    root = tmp_path_factory.mktemp('world') / 'world'
    write_world(root, WorldConfig(train=8, val=2, test=4, size=80))
    # a further list, whose clips no config names
    clips = (root / 'test.txt').read_text().splitlines()
    for name, part in (('test', clips[:2]), ('extra', clips[2:])):
        (root / f'{name}.txt').write_text('\n'.join(part) + '\n')
    return root


@pytest.fixture(scope='module')
def compared(warm_python, world, tmp_path_factory):
    out = tmp_path_factory.mktemp('compared')
    done = compare(
        warm_python,
        world,
        out,
        *('--methods', *METHODS, '--seeds', '3', '--share-warmup'),
        *('--splits', 'val', 'extra', '--cache', str(out / 'cache')),
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return out, done.stdout


def test_results_have_one_row_per_method_seed_model_and_split(compared):
    out, _ = compared
    rows = json.loads((out / 'results.json').read_text())
    keys = {(r['method'], r['seed'], r['model'], r['split']) for r in rows}
    assert keys == {
        (method, 3, model, split)
        for method in METHODS
        for model in ('a', 'b', 'ens')
        for split in ('val', 'extra')
    }
    assert len(rows) == len(keys)
    assert all(0 <= r['CIoU@0.5_adaptive'] <= 100 for r in rows)
    assert all(0 < r['AUC_adaptive'] <= 100 and r['seconds'] > 0 for r in rows)
    swept = {0.05 * i for i in range(1, 20)}
    assert all(min(abs(r['threshold'] - t) for t in swept) < 1e-9 for r in rows)
    assert all(0 <= r['CIoU@0.5_chosen'] <= 100 for r in rows)
    about = json.loads((out / 'run.json').read_text())
    assert about['arguments']['seeds'] == [3]


def test_tables_and_curves_are_written(compared):
    out, said = compared
    text = (out / 'results.md').read_text()
    assert text in said
    assert 'split: val' in text
    assert 'XPL, no PL-EMA' in text
    assert (out / 'curves_labeled0.5.png').stat().st_size > 1000
    with open(out / 'curves_labeled0.5.csv', newline='') as file:
        curves = {row['curve'] for row in csv.DictReader(file)}
    assert {'pseudo_label/a_soft_iou', 'pseudo_label/agreement'} <= curves


def test_a_shared_warm_up_changes_no_bit_and_a_further_method_costs_its_own(
    warm_python, compared, world, tmp_path
):
    out, _ = compared
    alone = compare(warm_python, world, tmp_path, '--methods', 'xpl', '--seeds', '3')
    assert alone.returncode == 0, alone.stdout[-3000:] + alone.stderr[-3000:]
    weights = [
        torch.load(
            folder / 'labeled0.5/xpl/seed3/epoch_2.pth',
            map_location='cpu',
            weights_only=False,
        )['state_dict']
        for folder in (out, tmp_path)
    ]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    # it did begin from the other's warm-up
    log = (out / 'labeled0.5/xpl/seed3/log.txt').read_text()
    assert 'resumed epoch: 1' in log


def test_what_was_done_is_not_done_again_and_other_settings_are_refused(
    warm_python, compared, world
):
    out, _ = compared
    args = ('--methods', *METHODS, '--seeds', '3', '--splits', 'test')
    again = compare(warm_python, world, out, *args, '--share-warmup')
    assert again.returncode == 0, again.stderr[-3000:]
    assert again.stdout.count('was trained before') == 2
    assert 'tools/train.py' not in again.stdout
    other = compare(warm_python, world, out, *args, '--share-warmup', '--amp')
    assert other.returncode == 2
    assert 'amp: False, now True' in other.stderr


def test_wrong_arguments_are_answered_at_once(warm_python, tmp_path):
    done = compare(warm_python, tmp_path / 'nowhere', tmp_path, '--methods', 'xpl')
    assert done.returncode == 2
    assert 'nowhere is no folder' in done.stderr
    done = compare(warm_python, tmp_path, tmp_path, '--methods', 'xplx')
    assert '--method xplx: is neither' in done.stderr


def test_only_a_repository_that_tracks_the_tool_names_its_commit(tmp_path, monkeypatch):
    commit_of = runpy.run_path(str(ROOT / 'tools/compare_methods.py'))['commit_of']
    installed, tracked = tmp_path / 'env/tool.py', tmp_path / 'tool.py'
    installed.parent.mkdir()
    installed.touch()
    tracked.touch()
    assert commit_of(tracked) is None
    for command in (
        'init -q',
        'add tool.py',
        '-c user.name=x -c user.email=x commit -q -m x',
    ):
        subprocess.run(['git', *command.split()], cwd=tmp_path, check=True)
    assert len(commit_of(tracked)) == 7
    assert commit_of(installed) is None
    monkeypatch.setenv('PATH', '')
    assert commit_of(tracked) is None
