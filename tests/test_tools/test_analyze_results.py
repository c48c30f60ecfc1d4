import csv
import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmxpl.datasets import AVJsonDataset

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs' / 'xpl' / 'xpl_synthetic.py'
main = runpy.run_path(str(ROOT / 'tools/analysis_tools/analyze_results.py'))['main']


@pytest.fixture
def analyze(tiny_world, tmp_path, monkeypatch):
    monkeypatch.setenv('MMXPL_DATA_ROOT', str(tiny_world))

    def analyze(*arguments):
        main([str(CONFIG), str(tmp_path / 'maps'), str(tmp_path / 'out'), *arguments])

    return analyze


@pytest.fixture
def maps(tiny_world, tmp_path):
    """A knows clip-10, B knows clip-11, the ensemble is their mean."""
    dataset = AVJsonDataset(
        str(tiny_world),
        id_list='test.txt',
        labeled=True,
        pipeline=[dict(type='RasterizeTargets')],
    )
    ramp = np.linspace(0, 0.1, 224 * 224, dtype=np.float32).reshape(224, 224)
    for item in (dataset[n] for n in range(2)):
        right = item['gt_map'].numpy() * 0.9 + ramp
        wrong = ramp.T[::-1] if item['sample_id'] == 'clip-11' else right
        knows = {'a': wrong, 'b': right, 'ens': (wrong + right) / 2}
        for name, one in knows.items():
            path = tmp_path / 'maps' / name / f'{item["sample_id"]}.npy'
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, one)
    return tmp_path / 'maps'


def test_sheets_and_table(analyze, maps, tmp_path, capsys):
    analyze('--topk', '1', '--model', 'a')
    sizes = {}
    for name in ('best', 'worst', 'disagreeing'):
        sizes[name] = cv2.imread(str(tmp_path / 'out' / f'{name}.png'))
    assert (sizes['worst'] == sizes['disagreeing']).all()
    assert (sizes['best'] != sizes['worst']).any()
    with open(tmp_path / 'out' / 'clips.csv') as file:
        rows = list(csv.DictReader(file))
    assert [row['sample_id'] for row in rows] == ['clip-10', 'clip-11']
    assert float(rows[0]['a']) > 0.99
    assert float(rows[0]['agreement']) == pytest.approx(1)
    assert float(rows[1]['a']) < 0.5 < float(rows[1]['b'])
    assert 'a CIoU@0.5_adaptive 50.00' in capsys.readouterr().out


def test_what_was_left_out_is_counted(analyze, maps, capsys):
    (maps / 'b' / 'clip-11.npy').unlink()
    (maps / 'a' / 'clip-99.npy').write_bytes((maps / 'a' / 'clip-10.npy').read_bytes())
    (maps / 'b' / 'clip-99.npy').write_bytes((maps / 'a' / 'clip-10.npy').read_bytes())
    (maps / 'ens' / 'clip-99.npy').write_bytes(
        (maps / 'a' / 'clip-10.npy').read_bytes()
    )
    analyze()
    out = capsys.readouterr().out
    assert '1 of the 2 clips of --part test have no map, 1 maps are of other' in out


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--model', 'c'], "has no folder 'c' of maps (it has: a, b, ens)"),
        (['--part', 'val'], 'none of its 2 maps is of a clip in --part val'),
        (['--part', 'unlabeled'], 'set labeled=True'),
    ],
)
def test_what_cannot_be_analysed_is_said(analyze, maps, capsys, arguments, message):
    with pytest.raises(SystemExit) as caught:
        analyze(*arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
