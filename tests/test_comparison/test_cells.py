"""Cells of a comparison: finished ones are read, failed ones say why."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmxpl.comparison import Cell, Comparison, find_method, launch
from mmxpl.comparison.cells import share_warm_start
from mmxpl.comparison.comparison import SCORED_RULES
from mmxpl.comparison.methods import settings_of
from mmxpl.utils.errors import DataError
from mmxpl.visualization.charts import read_run

pytestmark = pytest.mark.usefixtures('warm_spawn')

ROOT = Path(__file__).resolve().parents[2]
CELL = Cell('xpl', 0.05, 3)


def test_a_cell_has_a_folder_of_its_own(tmp_path):
    folders = {
        Cell(method, labeled, seed).folder(tmp_path)
        for method in ('xpl', 'supcon')
        for labeled in (0.05, 0.1, None)
        for seed in (0, 1)
    }
    assert len(folders) == 12
    assert str(CELL) == 'xpl 5 % seed 3'


def test_a_method_of_one_s_own_has_one_folder_wherever_it_is_named_from(tmp_path):
    names = ('../mine.py', '/home/me/mine.py', '../mine.py+a.b=c/d.py')
    folders = [Cell(name, 0.05, 3).folder(tmp_path).parent.name for name in names]
    assert folders == ['mine', 'mine', 'mine+a.b=c_d.py']


SETTINGS = dict(randomness=dict(seed=3), train_cfg=dict(max_epochs=16))
DATASET = dict(data_root='data', id_list='test.txt')


def comparison(out, **kwargs):
    # the config does not exist: nothing may be trained
    methods = {'xpl': find_method('xpl')}
    return Comparison(out, out / 'xpl.py', methods, **kwargs)


def finish(tmp_path, settings):
    folder = CELL.folder(tmp_path)
    folder.mkdir(parents=True)
    settings = settings_of(Config(settings))
    made_of = dict(config='xpl.py', settings=settings, processes=1, amp=False)
    record = dict(made_of=made_of, seconds=61.0)
    (folder / 'finished.json').write_text(json.dumps(record))


def train(tmp_path, settings, **kwargs):
    return comparison(tmp_path, **kwargs)._train(CELL, Config(settings), {}, None, {})


def score(tmp_path):
    cfg = Config(dict(test_dataloader=dict(dataset=DATASET)))
    return comparison(tmp_path)._score(CELL, cfg, 'test', {})


def test_a_finished_cell_is_read(tmp_path):
    finish(tmp_path, SETTINGS)
    assert train(tmp_path, SETTINGS) == 61.0
    scores = {f'a/AUC_{rule}': 50.0 for rule in SCORED_RULES}
    (CELL.folder(tmp_path) / 'scores_test.json').write_text(json.dumps(scores))
    assert score(tmp_path) == scores


def test_a_cell_is_scored_again_by_rules_that_it_has_no_score_of(tmp_path):
    finish(tmp_path, {})
    folder = CELL.folder(tmp_path)
    (folder / 'scores_test.json').write_text(json.dumps({'a/AUC_fixed': 50.0}))
    # the checkpoint, which is not there, is looked for
    with pytest.raises(FileNotFoundError, match='last_checkpoint'):
        score(tmp_path)


def test_a_cell_of_other_settings_is_refused_with_the_difference(tmp_path):
    finish(tmp_path, SETTINGS)
    with pytest.raises(DataError, match='max_epochs: 16, now 48.*another --out'):
        train(tmp_path, dict(SETTINGS, train_cfg=dict(max_epochs=48)))
    with pytest.raises(DataError, match='amp: False, now True'):
        train(tmp_path, SETTINGS, amp=True)


def test_an_interrupted_cell_goes_on_with_its_settings_alone(tmp_path, monkeypatch):
    def launch(*args, **kwargs):
        raise DataError('interrupted')

    monkeypatch.setattr('mmxpl.comparison.comparison.launch', launch)
    for _ in range(2):
        with pytest.raises(DataError, match='interrupted'):
            train(tmp_path, SETTINGS)
    with pytest.raises(DataError, match=r'begun\.json.*max_epochs: 16, now 48'):
        train(tmp_path, dict(SETTINGS, train_cfg=dict(max_epochs=48)))


def test_a_finished_cell_keeps_what_is_scored_or_lent(tmp_path, monkeypatch):
    def launch(command, log, env, name, shown):
        folder = log.parent
        names = [
            'epoch_6',
            'epoch_7',
            'epoch_8',
            'epoch_8-0a1b2c3d',
            'best_ens_epoch_7',
        ]
        for name in names:
            copy = f'pseudo_labels.sha256_{name}.bin'
            (folder / copy).touch()
            state = dict(meta=dict(files={copy: 'digest'}))
            torch.save(state, folder / f'{name}.pth')
        (folder / 'last_checkpoint').write_text(str(folder / 'epoch_8.pth'))

    monkeypatch.setattr('mmxpl.comparison.comparison.launch', launch)
    settings = dict(
        train_cfg=dict(warmup_epochs=6, max_epochs=8),
        default_hooks=dict(pseudo_label=dict(soft=True)),
    )
    for share, left in (
        (True, {'epoch_6', 'epoch_8'}),
        (False, {'epoch_8'}),
    ):
        out = tmp_path / str(share)
        train(out, settings, share_warmup=share)
        folder = CELL.folder(out)
        assert {path.stem for path in folder.glob('*.pth')} == left
        copies = {f'pseudo_labels.sha256_{name}.bin' for name in left}
        assert {path.name for path in folder.glob('*.bin')} == copies


def test_a_cell_whose_settings_nobody_wrote_down_is_refused(tmp_path):
    finish(tmp_path, {})
    settings = dict(model={f'part{k}': k for k in range(9)})
    with pytest.raises(DataError, match='part4: None, now 4, 4 more'):
        train(tmp_path, settings)


def test_launch_keeps_what_was_said_and_shows_what_is_asked_for(tmp_path, capfd):
    log, script = tmp_path / 'new/log.txt', tmp_path / 'script.py'
    script.write_text("import os; print('loss 1'); print('score', os.environ['WHERE'])")
    launch([str(script)], log, dict(WHERE='here'), 'cell', shown='score')
    assert log.read_text() == 'loss 1\nscore here\n'
    shown = capfd.readouterr().out
    assert '[cell] score here' in shown
    assert '[cell] loss 1' not in shown


def test_a_failed_command_shows_its_last_words(tmp_path):
    log, script = tmp_path / 'log.txt', tmp_path / 'script.py'
    script.write_text("raise SystemExit('it broke')")
    with pytest.raises(DataError, match=r'\[cell\] failed.*log\.txt(.|\n)*it broke'):
        launch([str(script)], log, {}, 'cell')


def test_a_script_runs_in_a_fork_as_in_an_interpreter(tmp_path):
    script = tmp_path / 'script.py'
    script.write_text(
        'import os, sys, torch\n'
        'import beside\n'
        "print(__name__, sys.argv[1:], os.environ['WHERE'], torch.get_num_threads())\n"
        "print('to stderr', file=sys.stderr)\n"
        'sys.exit(int(sys.argv[1]))\n'
    )
    (tmp_path / 'beside.py').write_text('')
    log, env = tmp_path / 'log.txt', dict(WHERE='here', OMP_NUM_THREADS='1')
    launch([str(script), '0', 'x y'], log, env, 'cell')
    assert log.read_text() == "__main__ ['0', 'x y'] here 1\nto stderr\n"
    with pytest.raises(DataError, match=r'\[cell\] failed(.|\n)*to stderr'):
        launch([str(script), '3'], log, env, 'cell')


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_command_ends_with_the_comparison(warm_python, tmp_path, number):
    script, told, log = (tmp_path / x for x in ('script.py', 'told', 'log.txt'))
    script.write_text(
        'import pathlib, signal, time\n'
        'def end(number, frame):\n'
        f"    pathlib.Path({str(told)!r}).write_text('saved')\n"
        '    raise SystemExit(75)\n'
        'signal.signal(signal.SIGTERM, end)\n'
        "print('begun', flush=True)\n"
        'time.sleep(60)\n'
    )
    code = (
        'import pathlib, signal, sys\n'
        'from multiprocessing import spawn\n'
        'signal.signal(signal.SIGINT, signal.default_int_handler)\n'
        'spawn._python_exe = sys.executable.encode()\n'
        'from mmxpl.comparison import Comparison, comparison, launch\n'
        f'command, log = [{str(script)!r}], pathlib.Path({str(log)!r})\n'
        'Comparison._plan = lambda self, cell: ({}, {})\n'
        "Comparison._run = lambda *_: launch(command, log, {}, 'cell')\n"
        "Comparison(log.parent, log, {}).run(['first', 'second'])\n"
    )

    def heed():  # an interrupt is ignored where the tests run in the background
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    command = [warm_python, '-c', code]
    with subprocess.Popen(command, cwd=ROOT, preexec_fn=heed) as parent:
        wait_for(lambda: log.exists() and log.read_text() == 'begun\n')
        parent.send_signal(number)
        assert parent.wait(timeout=30) != 0
    wait_for(told.exists)
    # the second one has not begun
    assert log.read_text() == 'begun\n'


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def write_log(run, records):
    (run / 'vis_data').mkdir(parents=True)
    text = ''.join(json.dumps(record) + '\n' for record in records)
    (run / 'vis_data/scalars.json').write_text(text)


def test_a_warm_start_is_resumed_from_unless_the_training_went_on(tmp_path):
    source = tmp_path / 'epoch_6.pth'
    key = 'localizers.a.calibration'
    weights = {'w': torch.ones(2), key: torch.tensor([0.9, 4.0])}
    # it was saved with another threshold than that of the training
    calibrated = dict(area_calibration={'a': 0.2}, meta=dict(epoch=6))
    torch.save(dict(state_dict=weights, **calibrated), source)
    records = [{'epoch': 6, 'step': 300}, {'step': 6}, {'epoch': 7, 'step': 301}]
    labels = {'pseudo_label/agreement': 0.5, 'step': 6}
    write_log(tmp_path / '2026', [*records, labels, {'step': 8}])
    folder = tmp_path / 'cell'
    share_warm_start(source, folder)
    assert read_run(folder) == records[:2]
    target = Path((folder / 'last_checkpoint').read_text())
    state = torch.load(target, weights_only=True)
    assert target.parent == folder
    assert torch.equal(state['state_dict']['w'], torch.ones(2))
    assert state['teacher'] is None
    torch.testing.assert_close(state['state_dict'][key], torch.tensor([0.2, 4.0]))
    assert 'area_calibration' not in state
    (folder / 'last_checkpoint').write_text('epoch_9.pth')
    share_warm_start(source, folder)
    assert (folder / 'last_checkpoint').read_text() == 'epoch_9.pth'
