import argparse
import gc
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

from mmxpl.utils import DataError
from mmxpl.utils.cli import (
    VARIABLES,
    IdParser,
    add_config_options,
    add_launcher,
    check_output,
    export_local_rank,
    load_config,
    make_folder,
    number_in,
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


def test_misspelt_variables_are_named(config_file, monkeypatch, capsys):
    configs = (path.read_text() for path in (ROOT / 'configs').rglob('*.py'))
    read = set(re.findall(r'\{\{\$(\w+)', ''.join(configs)))
    assert read | {'MMXPL_DEBUG'} == VARIABLES
    monkeypatch.setenv('MMXPL_DATAROOT', 'x')
    monkeypatch.setenv('MMXPL_OWN', '1')
    monkeypatch.setenv('MMXPL_CACHE', 'x')
    Path(config_file).write_text("a = '{{$MMXPL_OWN:0}}'\n")
    load_config(config_file)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('warning: MMXPL_DATAROOT in the environment is not read; ')
    assert line.endswith('did you mean MMXPL_DATA_ROOT?')


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
    with pytest.raises(DataError, match='lacks model:'):
        load_config(config_file, {'model': None}, needs=['model'])
    with pytest.raises(DataError, match='train_cfg has the type .*, got 3'):
        load_config(config_file, {'train_cfg': 3})


def test_work_dir_order():
    cfg = Config({})
    set_work_dir(cfg, 'configs/xpl/tiny.py', None)
    assert cfg.work_dir == 'work_dirs/tiny'
    cfg = Config({'work_dir': 'of_config'})
    set_work_dir(cfg, 'tiny.py', None)
    assert cfg.work_dir == 'of_config'
    set_work_dir(cfg, 'tiny.py', 'of_user')
    assert cfg.work_dir == 'of_user'


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


def test_tools_import_nothing_that_may_start_threads_before_the_package():
    harmless = {'cv2', 'mmengine.config', 'mmxpl', 'numpy'}
    harmless |= {'rich.filesize', 'rich.progress'}
    harmless |= set(sys.stdlib_module_names)
    patterns = ('tools/**/*.py', 'demo/*.py', 'benchmarks/*.py')
    for path in (path for pattern in patterns for path in ROOT.glob(pattern)):
        text = path.read_text()
        if path.parent.name == 'benchmarks' and 'set_num_threads(1)' in text:
            continue  # no other thread waits
        imports = re.findall(r'^(?:from|import) ([\w.]+)', text, re.MULTILINE)
        ours = [name.split('.')[0] == 'mmxpl' for name in imports]
        if "__name__ == '__main__'" in text and any(ours):
            first = {*imports[: ours.index(True)]}
            assert {n for n in first if n.split('.')[0] not in harmless} <= harmless, (
                path
            )


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
