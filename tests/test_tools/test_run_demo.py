import argparse
import importlib.util
import json
import os
import sys
from pathlib import Path
from unittest.mock import Mock, call

import numpy as np
import pytest

from mmxpl.utils.errors import DataError
from mmxpl.visualization import read_picture, write_picture


@pytest.fixture
def run_demo():
    path = Path(__file__).resolve().parents[2] / 'tools' / 'run_demo.py'
    spec = importlib.util.spec_from_file_location('mmxpl_tools_run_demo', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_curves_of_every_model_and_pictures_of_the_first_method(run_demo, tmp_path):
    folders = {name: tmp_path / name for name in ('xpl', 'supcon')}
    for folder in folders.values():
        log = folder / 'run/vis_data/scalars.json'
        log.parent.mkdir(parents=True)
        records = [
            {'step': step, **{f'{m}/CIoU@0.5_adaptive': 10.0 * step for m in 'ab'}}
            for step in (1, 2)
        ]
        log.write_text('\n'.join(map(json.dumps, records)))
        (folder / 'pseudo_labels').mkdir()
        grey = np.full((4, 4, 3), 99, np.uint8)
        write_picture(grey, str(folder / f'pseudo_labels/{folder.name}.png'))
    titles = dict(xpl='XPL', supcon='supervised + contrastive')
    run_demo.draw(folders, ['a', 'b'], titles, {'whole image': 30.0}, tmp_path / 'out')
    found = sorted(path.name for path in (tmp_path / 'out').iterdir())
    assert found == ['curves_a.png', 'curves_b.png', 'pseudo_labels_xpl.png']
    assert read_picture(str(tmp_path / 'out/curves_a.png')).std() > 0


def test_clips_are_cached_beside_the_results(run_demo, tmp_path, monkeypatch):
    for name in ('MMXPL_DATA_ROOT', 'MMXPL_CACHE'):
        monkeypatch.setenv(name, 'elsewhere')
    tools = []
    monkeypatch.setattr(run_demo, 'run_tool', lambda *command: tools.append(command))
    forks = Mock()
    monkeypatch.setattr(run_demo, 'prepare_forks', lambda: forks)
    args = argparse.Namespace(
        real=False, data=str(tmp_path / 'data'), out=str(tmp_path / 'out')
    )
    env = run_demo.prepare(args, run_demo.DEMOS['synthetic'])
    assert env['MMXPL_DATA_ROOT'] == str(tmp_path / 'data')
    assert env['MMXPL_CACHE'] == str(tmp_path / 'out/cache')
    assert [Path(tool).stem for tool, *_ in tools] == ['make_synthetic', 'build_cache']
    # of which nothing is needed to go on
    facts = dict(target=run_demo.show_facts, args=(tmp_path / 'data',))
    assert forks.Process.mock_calls == [call(**facts), call().start()]


def test_a_tool_runs_in_this_process_and_its_failure_is_an_error(
    run_demo, tmp_path, monkeypatch, capfd
):
    monkeypatch.setattr(run_demo, 'ROOT', tmp_path)
    (tmp_path / 'beside.py').write_text('NAME = "beside"')
    (tmp_path / 'tool.py').write_text(
        'import os, sys, beside\n'
        'print(os.getpid(), beside.NAME, *sys.argv[1:])\n'
        'sys.exit(sys.argv[1])\n'
    )
    before = [*sys.argv], [*sys.path]
    with pytest.raises(DataError, match=r'tool\.py failed'):
        run_demo.run_tool('tool.py', 'wrong', tmp_path)
    assert capfd.readouterr().out == f'{os.getpid()} beside wrong {tmp_path}\n'
    (tmp_path / 'tool.py').write_text('import sys\nsys.exit(0)')
    run_demo.run_tool('tool.py')
    with pytest.raises(DataError, match='clone of the repository'):
        run_demo.run_tool('other.py')
    assert (sys.argv, sys.path) == before
