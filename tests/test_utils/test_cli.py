import argparse
import gc
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from torch.utils.data import ConcatDataset

from mmxpl.pseudo_labels import PseudoLabelBank, PseudoLabeler
from mmxpl.registry import DATA_SAMPLERS, HOOKS, MODELS
from mmxpl.testing import tiny_model_cfg
from mmxpl.utils import DataError
from mmxpl.utils.cli import (
    IdParser,
    add_config_options,
    add_launcher,
    check_output,
    export_local_rank,
    load_config,
    make_folder,
    number_in,
    one_clear_error,
    quick_start,
    refuse_doubles,
    set_work_dir,
)

ROOT = Path(__file__).resolve().parents[2]
SPIN = 'GOMP_SPINCOUNT'


@pytest.fixture
def config_file(tmp_path):
    path = tmp_path / 'tiny.py'
    path.write_text("model = dict(type='M', depth=18)\n")
    return str(path)


def test_options_are_parsed_and_a_lone_word_is_refused(capsys):
    parser = argparse.ArgumentParser()
    add_config_options(parser)
    args = parser.parse_args(['--cfg-options', 'a.b=1', 'c=[x,2]', 'd=e=f'])
    assert args.cfg_options == {'a.b': 1, 'c': ['x', 2], 'd': 'e=f'}
    with pytest.raises(SystemExit):
        parser.parse_args(['--cfg-options', 'model.depth'])
    assert "'model.depth' is not KEY=VALUE" in capsys.readouterr().err


def test_ids_with_a_leading_dash_are_values(capsys):
    parser = IdParser()
    parser.add_argument('--ids', nargs='+')
    parser.add_argument('--num', type=int)
    parser.add_argument('-v', action='store_true')
    ids = ['-6cTqUYkE1k_000030', 'a', '--_abcdefgh_000010', '-x']
    args = parser.parse_args(['--ids', *ids, '--num', '3', '-v'])
    assert (args.ids, args.num, args.v) == (ids, 3, True)
    assert parser.parse_args(['--ids=-x', '--nu=2']).ids == ['-x']
    for wrong in (['--numb', '3'], ['-w']):
        with pytest.raises(SystemExit):
            parser.parse_args(wrong)
        assert 'unrecognized arguments' in capsys.readouterr().err


def test_local_rank_is_exported_unless_the_launcher_did(monkeypatch):
    parser = argparse.ArgumentParser()
    add_launcher(parser)
    args = parser.parse_args(['--local-rank', '3'])
    # set and deleted, so that it is deleted again at the end
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.delenv('LOCAL_RANK')
    export_local_rank(args)
    export_local_rank(parser.parse_args(['--local_rank', '1']))
    import os

    assert os.environ['LOCAL_RANK'] == '3'


def test_config_gets_scope_and_options(config_file, tmp_path):
    cfg = load_config(config_file, {'model.depth': 50})
    assert cfg.default_scope == 'mmxpl'
    assert cfg.model.depth == 50
    own = tmp_path / 'own.py'
    own.write_text("default_scope = 'mmdet'\n")
    assert load_config(str(own)).default_scope == 'mmdet'


def test_missing_config_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.py' does not exist"):
        load_config(str(tmp_path / 'nowhere.py'))


def test_a_method_or_a_part_of_a_config_is_told(config_file, tmp_path):
    with pytest.raises(DataError, match='not a config: give a config and --method dmt'):
        load_config(str(ROOT / 'configs/methods/dmt.py'))
    own = tmp_path / 'own_method.py'
    own.write_text("method = 'own'\nmodel = dict(deaf=True)\n")
    with pytest.raises(DataError, match=r'--method \S+own_method\.py'):
        load_config(str(own))
    load_config(config_file, needs=['model'])
    with pytest.raises(DataError, match='lacks train_dataloader and train_cfg'):
        load_config(config_file, needs=['model', 'train_dataloader', 'train_cfg'])


def test_work_dir_order():
    cfg = Config({})
    set_work_dir(cfg, 'configs/xpl/tiny.py', None)
    assert cfg.work_dir == 'work_dirs/tiny'
    cfg = Config({'work_dir': 'of_config'})
    set_work_dir(cfg, 'tiny.py', None)
    assert cfg.work_dir == 'of_config'
    set_work_dir(cfg, 'tiny.py', 'of_user')
    assert cfg.work_dir == 'of_user'


def test_data_error_becomes_one_message(capsys):
    with pytest.raises(SystemExit) as caught, one_clear_error():
        raise DataError('x.wav is empty.')
    assert caught.value.code == 2
    assert capsys.readouterr().err == 'error: x.wav is empty.\n'


def test_error_of_a_data_loader_worker_loses_its_traceback(capsys):
    torch_data = pytest.importorskip('torch.utils.data')

    class Broken(torch_data.Dataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            raise DataError(f'clip {index} is corrupt.')

    loader = torch_data.DataLoader(Broken(), num_workers=1)
    with pytest.raises(SystemExit), one_clear_error():
        next(iter(loader))
    assert capsys.readouterr().err == 'error: clip 0 is corrupt.\n'


@pytest.mark.parametrize(
    ('path', 'words'),
    [
        ('file/inside', "file/inside': Not a directory."),
        ('none', "none': No such file or directory."),
        (b'\xff'.decode(errors='surrogateescape'), r"\udcff': No such file"),
    ],
)
def test_a_file_that_cannot_be_had_is_one_message(tmp_path, capsys, path, words):
    (tmp_path / 'file').touch()
    with pytest.raises(SystemExit) as caught, one_clear_error():
        (tmp_path / path).read_bytes()
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(words) or words in line
    assert line.startswith(f"error: '{tmp_path}")


def test_a_name_that_is_no_text_is_one_message(capsys):
    name = b'clip-\xff.jpg'.decode(errors='surrogateescape')
    with pytest.raises(SystemExit), one_clear_error():
        f'{{"img": "{name}"}}'.encode()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        r"error: 'clip-\udcff.jpg': this name of a file is not UTF-8"
    )
    with pytest.raises(UnicodeEncodeError), one_clear_error():
        'ä'.encode('ascii')


def test_an_output_is_looked_at_before_the_work(tmp_path):
    check_output(str(tmp_path / 'new/folder/out.pkl'), '--out')
    check_output('out.pkl', '--out')
    (tmp_path / 'file').touch()
    with pytest.raises(DataError, match=r"--out: .*file/out\.pkl' cannot be written"):
        check_output(str(tmp_path / 'file/out.pkl'), '--out')
    with pytest.raises(DataError, match='--out: .*is a folder'):
        check_output(str(tmp_path), '--out')


def test_an_output_folder_is_made_before_the_work(tmp_path):
    make_folder(tmp_path / 'new/folder', '--out')
    make_folder(tmp_path / 'new/folder', '--out')
    assert (tmp_path / 'new/folder').is_dir()
    (tmp_path / 'file').touch()
    with pytest.raises(DataError, match='--out: .* Give another --out') as caught:
        make_folder(tmp_path / 'file/inside', '--out')
    assert f"'{tmp_path}/file/inside' cannot be written to (" in str(caught.value)


@pytest.mark.parametrize(
    ('limits', 'text', 'words'),
    [
        ((1,), '0', "must be a whole number, at least 1, got '0'"),
        ((1,), '1.5', "got '1.5'"),
        ((0, 1, float), 'nan', "must be a number, from 0 to 1, got 'nan'"),
        ((0, math.inf, float), 'inf', "must be a number, at least 0, got 'inf'"),
    ],
)
def test_a_number_out_of_range_is_refused_by_the_parser(capsys, limits, text, words):
    parser = argparse.ArgumentParser()
    parser.add_argument('--jobs', type=number_in(*limits))
    assert parser.parse_args(['--jobs', '1']).jobs == 1
    with pytest.raises(SystemExit):
        parser.parse_args(['--jobs', text])
    error = capsys.readouterr().err
    assert 'argument --jobs: ' in error
    assert words in error


def test_a_value_given_twice_is_refused(capsys):
    refuse_doubles(argparse.ArgumentParser(), '--seeds', [0, 1])
    with pytest.raises(SystemExit):
        refuse_doubles(argparse.ArgumentParser(), '--seeds', [0, 1, 0])
    assert '--seeds: 0 is given twice' in capsys.readouterr().err


def test_a_file_that_is_no_config_is_named(tmp_path):
    (tmp_path / 'README.md').touch()
    with pytest.raises(
        DataError, match=r"README\.md' is no config: \.py, .* or \.json"
    ):
        load_config(str(tmp_path / 'README.md'))


def pseudo_label_hook(**settings):
    cfg = dict(type='CrossPseudoLabelHook')
    return lambda: HOOKS.build({**cfg, **settings})


def sampler(**settings):
    parts = ConcatDataset([range(4), range(8)])
    cfg = dict(
        type='CurriculumSampler',
        dataset=parts,
        labeled_per_batch=1,
        unlabeled_per_batch=1,
    )
    return lambda: DATA_SAMPLERS.build({**cfg, **settings})


def localizer(**settings):
    cfg = tiny_model_cfg()
    cfg['localizers']['a'].update(settings)
    return lambda: MODELS.build(cfg)


@pytest.mark.parametrize(
    ('build', 'words'),
    [
        (lambda: PseudoLabeler(temperature=0), 'error: temperature must be positive'),
        (lambda: PseudoLabelBank([], ['a'], 1), 'error: momentum must be in [0, 1)'),
        (
            lambda: HOOKS.build(dict(type='AreaCalibrationHook', area_ratio=0)),
            'error: area_ratio must be positive, got 0.',
        ),
        (pseudo_label_hook(momentum=1), 'error: momentum must be in [0, 1), got 1.'),
        (pseudo_label_hook(temperature=0), 'error: temperature must be positive'),
        (pseudo_label_hook(reliability=['x']), 'error: reliability is some of'),
        (
            lambda: HOOKS.build(dict(type='PreemptionHook', signals=['SIGFOO'])),
            'error: signals: this system has no SIGFOO.',
        ),
        (
            lambda: MODELS.build(dict(type='MaxMILContrastiveLoss', temperature=0)),
            'error: temperature must be positive, got 0.',
        ),
        (sampler(num_batches=0), 'error: num_batches must be positive, got 0.'),
        (sampler(labeled_per_batch=-1), 'error: labeled_per_batch must not be'),
        (sampler(curriculum=dict(start=0)), 'error: curriculum need'),
        (localizer(temperature=0.0), 'error: temperature must be positive, got 0.0.'),
        (localizer(visual_dropout=1.0), 'error: visual_dropout must be in [0, 1)'),
    ],
)
def test_a_setting_out_of_range_is_one_message(capsys, build, words):
    import mmxpl.engine
    import mmxpl.models  # noqa: F401

    with pytest.raises(SystemExit) as caught, one_clear_error():
        build()
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(words)


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        (
            'DataLoader worker (pid 7) is killed by signal: Bus error. It is possible '
            "that dataloader's workers are out of shared memory. Please try to raise "
            'your shared memory limit.',
            '--shm-size',
        ),
        (
            'Caught RuntimeError in DataLoader worker process 0.\nOriginal Traceback:\n'
            'RuntimeError: unable to write to file </torch_9_1>: No space left on '
            'device (28)',
            '--shm-size',
        ),
        ('DataLoader worker (pid 7) is killed by signal: Killed.', 'num_workers'),
    ],
)
def test_workers_that_end_are_one_message(capsys, text, words):
    with pytest.raises(SystemExit), one_clear_error():
        raise RuntimeError(text)
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


def test_channels_that_do_not_fit_are_one_message(capsys):
    with pytest.raises(SystemExit), one_clear_error():
        torch.nn.Conv2d(1, 4, 3)(torch.zeros(2, 3, 8, 8))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        'error: A network of the model reads 1 channels and is given 3'
    )


def test_a_variable_shows_the_traceback(monkeypatch):
    monkeypatch.setenv('MMXPL_DEBUG', '1')
    with pytest.raises(DataError), one_clear_error():
        raise DataError('x')


@pytest.mark.parametrize(
    'error', [RuntimeError('x'), ValueError('not of this package'), TypeError('x')]
)
def test_faults_of_the_program_keep_their_traceback(error):
    with pytest.raises(type(error)), one_clear_error():
        raise error


@pytest.mark.parametrize(
    ('cfg', 'words'),
    [
        (dict(type='nn.Sigmoidd'), "'nn.Sigmoidd' of the config cannot be built: KeyE"),
        (dict(type='CrossPseudoLabelHook', temperature='x'), "'CrossPseudoLabelHook' "),
        (dict(type='AVLocalizer'), "'AVLocalizer' of the config cannot be built: Type"),
        (None, "'None' of the config cannot be built: TypeError: cfg should be a dict"),
    ],
)
def test_a_config_that_cannot_be_built_is_one_message(capsys, cfg, words):
    registry = HOOKS if cfg and 'Hook' in cfg['type'] else MODELS
    with pytest.raises(SystemExit) as caught, one_clear_error():
        registry.build(cfg)
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f'error: {words}')
    assert 'MMXPL_DEBUG=1' in line


def test_the_innermost_part_that_cannot_be_built_is_named(capsys):
    cfg = tiny_model_cfg()
    cfg['localizers']['a']['visual_backbone'] = dict(type='mmdet.ResNet', depth=17)
    with pytest.raises(SystemExit), one_clear_error():
        MODELS.build(cfg)
    (line,) = capsys.readouterr().err.splitlines()
    assert "'mmdet.ResNet' of the config" in line
    assert 'invalid depth 17 for resnet' in line


def test_other_errors_keep_their_traceback():
    with pytest.raises(KeyError), one_clear_error():
        raise KeyError('x')


@pytest.mark.parametrize(
    ('given', 'kept'),
    [({}, '1000'), ({'OMP_WAIT_POLICY': 'ACTIVE'}, 'None'), ({SPIN: '7'}, '7')],
)
def test_threads_spin_briefly_and_pytorch_is_imported_later(given, kept):
    code = (
        'import os, sys, mmxpl.utils.cli; '
        f"print(os.environ.get('{SPIN}'), 'torch' in sys.modules)"
    )
    unset = ('OMP_WAIT_POLICY', SPIN)
    env = {k: v for k, v in os.environ.items() if k not in unset} | given
    done = subprocess.run(
        [sys.executable, '-c', code], env=env, capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout.split() == [kept, 'False'], done.stderr


def test_a_start_leaves_what_it_made_out_of_the_collector():
    frozen, made = gc.get_freeze_count(), []

    @quick_start()
    def fail():
        assert not gc.isenabled()
        made.extend([] for _ in range(1000))
        raise DataError('')

    with pytest.raises(DataError):
        fail()
    try:
        assert gc.isenabled()
        assert gc.get_freeze_count() > frozen + len(made)
    finally:
        gc.unfreeze()


def test_freed_memory_is_kept_unless_the_user_says_otherwise():
    code = (
        'import sys, resource, numpy as np, mmxpl.utils.cli\n'
        'faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n'
        'np.ones(2**20, np.uint8)\n'
        'before = faults()\n'
        'for _ in range(64): np.ones(2**20, np.uint8)\n'
        'print(faults() - before)'
    )

    def faults(**variables):
        done = subprocess.run(
            [sys.executable, '-c', code],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=True,
        )
        return int(done.stdout)

    assert faults() < 500
    assert faults(MALLOC_MMAP_THRESHOLD_='131072') > 64 * 2**20 / 65536
