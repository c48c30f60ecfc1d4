import argparse
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

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
    args = argparse.Namespace(
        real=False, data=str(tmp_path / 'data'), out=str(tmp_path / 'out')
    )
    env = run_demo.prepare(args, run_demo.DEMOS['synthetic'])
    assert env['MMXPL_DATA_ROOT'] == str(tmp_path / 'data')
    assert env['MMXPL_CACHE'] == str(tmp_path / 'out/cache')
    assert [Path(tool).stem for tool, *_ in tools] == ['make_synthetic', 'build_cache']
