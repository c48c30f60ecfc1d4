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


def test_predictions_need_a_pickle(refusal, config):
    line = refusal('test.py', config, 'x.pth', '--out', 'x.json')
    assert "'x.json' must end in .pkl" in line


def test_drawing_needs_the_hook(refusal, config):
    line = refusal('test.py', config, 'x.pth', '--show-dir', 'pictures')
    assert 'default_hooks.visualization' in line


def test_scaling_needs_the_batch_size(refusal, config):
    line = refusal('train.py', config, '--auto-scale-lr')
    assert 'auto_scale_lr.base_batch_size' in line
