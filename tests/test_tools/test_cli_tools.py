import runpy
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture
def run(monkeypatch):
    """Runs a tool in this process, which has imported PyTorch already."""
    # set, so that what the tool exports is undone at the end
    monkeypatch.setenv('LOCAL_RANK', '0')

    def run(tool, *arguments):
        monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments)])
        runpy.run_path(str(TOOLS / tool), run_name='__main__')

    return run


@pytest.fixture
def refusal(run, capsys):
    """Runs a tool that must refuse, and returns its last line."""

    def refusal(*arguments):
        with pytest.raises(SystemExit) as caught:
            run(*arguments)
        assert caught.value.code == 2
        return capsys.readouterr().err.strip().splitlines()[-1]

    return refusal


@pytest.fixture
def config(tmp_path):
    (tmp_path / 'base.py').write_text(
        "model = dict(type='M', depth=18)\n"
        "optim_wrapper = dict(type='OptimWrapper', optimizer=dict(lr=0.1))\n"
        'train_dataloader = test_dataloader = dict(batch_size=1)\n'
        'train_cfg = test_cfg = test_evaluator = dict(type="T")\n'
    )
    path = tmp_path / 'leaf.py'
    path.write_text("_base_ = './base.py'\nmodel = dict(depth=34)\n")
    return path


@pytest.mark.parametrize(
    ('tool', 'arguments'),
    [
        (
            'train.py',
            '--work-dir --amp --auto-scale-lr --resume --cfg-options --launcher',
        ),
        ('test.py', '--work-dir --out --show-dir --dump-maps --cfg-options --launcher'),
        ('misc/print_config.py', '--save-path --cfg-options'),
    ],
)
def test_help_names_every_argument(run, capsys, tool, arguments):
    with pytest.raises(SystemExit) as caught:
        run(tool, '--help')
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    for argument in arguments.split():
        assert argument in printed


def test_print_config_resolves_and_saves(run, capsys, config, tmp_path):
    saved = tmp_path / 'new' / 'whole.py'
    arguments = (config, '--save-path', saved, '--cfg-options', 'model.type=N')
    run('misc/print_config.py', *arguments)
    printed = capsys.readouterr().out
    for text in ('depth=34', "type='N'", 'lr=0.1'):
        assert text in printed
    assert Config.fromfile(saved).model.to_dict() == {'type': 'N', 'depth': 34}


@pytest.mark.parametrize('tool', ['train.py', 'test.py', 'misc/print_config.py'])
def test_unknown_option_is_one_clear_error(refusal, tool, config):
    checkpoint = ['x.pth'] if tool == 'test.py' else []
    line = refusal(tool, config, *checkpoint, '--cfg-options', 'model.dept=50')
    assert line.startswith("error: --cfg-options: unknown key 'model.dept'")
    assert "'model.depth'" in line


def test_missing_config_is_one_clear_error(refusal, tmp_path):
    path = tmp_path / 'none.py'
    assert refusal('train.py', path) == f"error: config '{path}' does not exist."


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (
            '--epochs -1',
            "argument --epochs: must be a whole number, at least 1, got '-1'",
        ),
        ('--jobs 0', "argument --jobs: must be a whole number, at least 1, got '0'"),
        ('--nproc-per-node 0', 'argument --nproc-per-node: must be a whole number'),
        ('--methods xpl xpl', '--methods: xpl is given twice'),
        ('--methods a/own.py own.py', '--methods: own is given twice'),
        ('--seeds 0 1 0', '--seeds: 0 is given twice'),
        ('--labeled 0.05 0.050', '--labeled: 0.05 is given twice'),
        ('--splits val val', '--splits: val is given twice'),
        ('--splits nope', "--splits nope: there is no list '{}/nope.txt'"),
        ('--splits ../nope', '--splits ../nope: must be'),
        ('--config README.md', "'README.md' is no config"),
    ],
)
def test_a_comparison_is_refused_before_any_training(
    refusal, monkeypatch, tmp_path, arguments, words
):
    monkeypatch.setenv('MMXPL_DATA_ROOT', str(tmp_path))  # undone at the end
    root = TOOLS.parent
    monkeypatch.chdir(root)
    config = ['--config', 'configs/xpl/xpl_synthetic.py', '--data-root', tmp_path]
    out = tmp_path / 'out'
    line = refusal('compare_methods.py', *config, '--out', out, *arguments.split())
    assert words.format(tmp_path) in line
    assert not out.exists()


@pytest.mark.parametrize('option', ['--work-dir', '--show-dir', '--dump-maps'])
def test_a_test_s_folders_are_tried_before_the_model(refusal, config, tmp_path, option):
    with open(config, 'a') as file:
        file.write('default_hooks = dict(visualization=dict())\n')
    folder = config / 'inside'
    options = dict.fromkeys(['--work-dir'], tmp_path / 'run') | {option: folder}
    line = refusal('test.py', config, 'x.pth', *(x for o in options.items() for x in o))
    assert f"{option}: '{folder}' cannot be written to (" in line
    assert line.endswith(f'Give another {option}.')


def test_a_world_of_impossible_numbers_is_refused_by_the_parser(refusal):
    tool = 'dataset_converters/make_synthetic.py'
    for text, words in (
        (
            '--train -3',
            "argument --train: must be a whole number, at least 0, got '-3'",
        ),
        ('--size 7', 'argument --size: must be a whole number, from 48 to 1024'),
        ('--snr 99', 'argument --snr: must be a number, from -20 to 60'),
        ('--objects 0 0 0', '--objects: one of the weights must be more than 0'),
        ('--workers 0', 'argument --workers: must be a whole number, at least 1'),
    ):
        assert words in refusal(tool, *text.split())


def test_a_folder_of_videos_that_is_not_there_is_named(refusal, tmp_path):
    tool = 'dataset_converters/extract_videos.py'
    line = refusal(tool, '--videos', tmp_path / 'nope', '--out', tmp_path / 'out')
    assert line.startswith(f'error: --videos {tmp_path}/nope: is no folder.')
    assert not (tmp_path / 'out').exists()


def test_predictions_need_a_pickle(refusal, config):
    line = refusal('test.py', config, 'x.pth', '--out', 'x.json')
    assert "'x.json' must end in .pkl" in line


def test_drawing_needs_the_hook(refusal, config):
    line = refusal('test.py', config, 'x.pth', '--show-dir', 'pictures')
    assert 'default_hooks.visualization' in line


def test_scaling_needs_the_batch_size(refusal, config):
    line = refusal('train.py', config, '--auto-scale-lr')
    assert 'auto_scale_lr.base_batch_size' in line
