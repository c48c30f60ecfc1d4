"""The command-line tools as a user calls them, on a world of a dozen clips.

Training, resuming, testing and two processes are each seen once from a Python of
their own; further calls come from the warm one.
"""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmxpl.registry import DATASETS
from mmxpl.utils.errors import DataError

# what is trained once is trained by one process of pytest-xdist
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group('train')]

ROOT = Path(__file__).resolve().parents[2]
CONFIG = 'configs/xpl/xpl_custom_vggss.py'
OPTIONS = (
    'train_cfg.max_epochs=3',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'val_dataloader.num_workers=0',
    'val_dataloader.persistent_workers=False',
    'test_dataloader.num_workers=0',
    'test_dataloader.persistent_workers=False',
    'train_dataloader.sampler.labeled_per_batch=2',
    'train_dataloader.sampler.unlabeled_per_batch=2',
    'train_cfg.warmup_epochs=1',
    'train_dataloader.dataset.labeled_fraction=0.5',
)
# pictures take half of such a run's time: those of one run are enough
PLAIN = (
    'default_hooks.pseudo_label_monitor.num_clips=0',
    'default_hooks.pseudo_label_strip.num_clips=1',
)


def call(world, *command, check=True, **env):
    env = dict(
        os.environ,
        PYTHONPATH=str(ROOT),
        OMP_NUM_THREADS='1',
        MMXPL_DATA_ROOT=str(world),
        **env,
    )
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=500
    )
    if check and done.returncode:
        raise AssertionError(done.stdout[-3000:] + done.stderr[-3000:])
    return done


def train(python, world, work_dir, *args, options=(), **kwargs):
    return call(
        world,
        python,
        'tools/train.py',
        CONFIG,
        '--work-dir',
        str(work_dir),
        *args,
        '--cfg-options',
        *OPTIONS,
        *options,
        **kwargs,
    )


@pytest.fixture(scope='module')
def trained(tiny_world, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('trained')
    done = train(sys.executable, tiny_world, work_dir)
    (work_dir / 'console.txt').write_text(done.stdout + done.stderr)
    return work_dir


def read_losses(work_dir):
    (path,) = work_dir.glob('*/vis_data/scalars.json')
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [{k: v for k, v in r.items() if 'loss' in k} for r in rows if 'loss' in r]


def test_train_leaves_checkpoints_scores_and_strips(trained):
    assert (trained / 'epoch_3.pth').exists()
    losses = read_losses(trained)
    assert losses[0]['a.loss_pseudo'] == 0
    assert losses[-1]['a.loss_pseudo'] > 0
    assert len(list((trained / 'pseudo_labels').glob('*.png'))) == 4


def test_the_console_shows_what_is_learnt_and_the_file_everything(trained):
    console = (trained / 'console.txt').read_text()
    before, _ = console.split('Epoch(train)', 1)
    assert len(before.splitlines()) < 40
    assert 'Clips: 4 labeled, 4 unlabeled, 2 for validation.' in before
    assert 'from epoch 2 on' in before
    assert 'eta: ' in console
    (log,) = trained.glob('*/*.log')
    for text in ('Config:\n', 'Hooks will be executed', 'System environment'):
        assert text not in console
        assert text in log.read_text()


def test_mixed_precision_from_the_command_line(
    warm_python, trained, tiny_world, tmp_path
):
    train(warm_python, tiny_world, tmp_path, '--amp', options=PLAIN)
    for mixed, plain in zip(read_losses(tmp_path), read_losses(trained), strict=True):
        assert mixed != plain
        assert mixed['loss'] == pytest.approx(plain['loss'], rel=0.2)
    checkpoint = torch.load(tmp_path / 'epoch_3.pth', weights_only=False)
    kinds = {x.dtype for x in checkpoint['state_dict'].values()}
    assert kinds <= {torch.float32, torch.int64}
    config = (tmp_path / 'xpl_custom_vggss.py').read_text()
    assert config.count("amp_dtype='") == 2


def test_test_scores_dumps_and_draws(trained, tiny_world, tmp_path):
    of_training = tmp_path / Path(CONFIG).name
    of_training.write_text('of = "the training"')
    done = call(
        tiny_world,
        sys.executable,
        'tools/test.py',
        CONFIG,
        str(trained / 'epoch_3.pth'),
        '--work-dir',
        str(tmp_path),
        '--out',
        str(tmp_path / 'maps.pkl'),
        '--show-dir',
        str(tmp_path / 'show'),
    )
    assert '2 evaluated of 2 expected' in done.stdout + done.stderr
    (path,) = tmp_path.glob('*/*.json')
    scores = json.loads(path.read_text())
    for model in ('a', 'b', 'ens', 'ref/disc', 'ref/oracle'):
        for rule in ('median', 'median_strict', 'adaptive', 'fixed'):
            assert 0 <= scores[f'{model}/CIoU@0.5_{rule}'] <= 100
            assert 0 <= scores[f'{model}/AUC_{rule}'] <= 100
    with open(tmp_path / 'maps.pkl', 'rb') as file:
        assert len(pickle.load(file)) == 2
    assert (tmp_path / 'show/contact_sheet.png').exists()
    assert (tmp_path / 'show/clip-10.png').exists()
    assert of_training.read_text() == 'of = "the training"'


def test_dumped_maps_score_as_the_test_did(warm_python, trained, tiny_world, tmp_path):
    call(
        tiny_world,
        warm_python,
        'tools/test.py',
        CONFIG,
        str(trained / 'epoch_3.pth'),
        '--work-dir',
        str(tmp_path / 'work'),
        '--dump-maps',
        str(tmp_path / 'maps'),
    )
    (path,) = tmp_path.glob('work/*/*.json')
    scores = json.loads(path.read_text())
    for model in ('a', 'b', 'ens'):
        call(
            tiny_world,
            warm_python,
            'tools/analysis_tools/eval_maps.py',
            str(tmp_path / 'maps' / model),
            '--ann',
            str(tiny_world / 'annotations.json'),
            '--ann-format',
            'json',
            '--list',
            str(tiny_world / 'test.txt'),
            '--json',
            str(tmp_path / 'out.json'),
        )
        report = json.loads((tmp_path / 'out.json').read_text())
        for row, values in (
            (model, report['scores']),
            ('ref/disc', report['reference']['disc']),
            ('ref/oracle', report['reference']['oracle']),
        ):
            for rule in ('median', 'median_strict', 'adaptive', 'fixed'):
                for name in ('CIoU@0.5', 'AUC'):
                    logged = scores[f'{row}/{name}_{rule}']
                    assert values[rule][name] == pytest.approx(logged, abs=1e-9)


def test_resume_auto_goes_on_where_it_was(warm_python, tiny_world, tmp_path, trained):
    shutil.copy(trained / 'epoch_2.pth', tmp_path)
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_2.pth'))
    done = train(sys.executable, tiny_world, tmp_path, '--resume', options=PLAIN)
    assert 'resumed epoch: 2' in done.stdout + done.stderr
    one = torch.load(trained / 'epoch_3.pth', weights_only=False)
    other = torch.load(tmp_path / 'epoch_3.pth', weights_only=False)
    for key, value in one['state_dict'].items():
        assert torch.equal(value, other['state_dict'][key]), key
    assert torch.equal(
        one['pseudo_label_bank']['labels'], other['pseudo_label_bank']['labels']
    )


def test_two_processes_train_and_test(warm_python, tiny_world, tmp_path):
    call(
        tiny_world,
        'bash',
        'tools/dist_train.sh',
        CONFIG,
        '2',
        '--work-dir',
        str(tmp_path),
        '--cfg-options',
        *OPTIONS,
        *PLAIN,
        'train_dataloader.sampler.labeled_per_batch=1',
        'train_dataloader.sampler.unlabeled_per_batch=1',
        PATH=f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}',
    )
    assert read_losses(tmp_path)[-1]['b.loss_pseudo'] > 0
    done = call(
        tiny_world,
        'bash',
        'tools/dist_test.sh',
        CONFIG,
        str(tmp_path / 'epoch_3.pth'),
        '2',
        '--work-dir',
        str(tmp_path / 'test'),
        PYTHON=warm_python,
    )
    assert '2 evaluated of 2 expected' in done.stdout + done.stderr


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (['model.localisers.a.embed_dim=8'], ['model.localisers', 'localizers']),
        (['train_dataloader.dataset.dataset.id_list=none.txt'], ['none.txt']),
        (
            ['val_dataloader.dataset.id_list=test.txt'],
            ['test', 'clip-1'],
        ),
    ],
)
def test_bad_settings_give_one_clear_error(
    warm_python, tiny_world, tmp_path, options, words
):
    done = train(warm_python, tiny_world, tmp_path, options=options, check=False)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert 'Traceback' not in last
    for word in words:
        assert word in last


def test_a_checkpoint_of_another_model_is_refused(
    warm_python, trained, tiny_world, tmp_path
):
    done = call(
        tiny_world,
        warm_python,
        'tools/test.py',
        CONFIG,
        str(trained / 'epoch_3.pth'),
        '--work-dir',
        str(tmp_path),
        '--cfg-options',
        'model.localizers.a.embed_dim=64',
        check=False,
    )
    assert done.returncode != 0
    assert 'epoch_3.pth' in done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize('damage', ['missing', 'empty', 'truncated'])
@pytest.mark.parametrize('kind', ['frames', 'audio'])
def test_a_bad_file_is_named(spoilable_world, monkeypatch, kind, damage):
    (path,) = (spoilable_world / kind).glob('clip-10.*')
    if damage == 'missing':
        path.unlink()
    else:
        content = path.read_bytes()
        path.write_bytes(b'' if damage == 'empty' else content[: len(content) // 2])
    monkeypatch.setenv('MMXPL_DATA_ROOT', str(spoilable_world))
    cfg = Config.fromfile(ROOT / CONFIG).test_dataloader.dataset
    with pytest.raises(DataError, match='clip-10'):
        DATASETS.build(cfg)[0]


def test_training_on_test_clips_is_refused(warm_python, tiny_world, tmp_path):
    done = train(
        warm_python,
        tiny_world,
        tmp_path / 'work',
        options=['test_dataloader.dataset.id_list=train.txt'],
        check=False,
    )
    assert done.returncode == 2
    assert 'Clips occur in two parts of the data' in done.stderr
    assert 'share 4 ids' in done.stderr
    assert not list((tmp_path / 'work').glob('*.pth'))
