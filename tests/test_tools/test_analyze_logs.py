import csv
import json
import runpy
from pathlib import Path

import cv2
import pytest

ROOT = Path(__file__).parents[2]
main = runpy.run_path(str(ROOT / 'tools/analysis_tools/analyze_logs.py'))['main']
KEY = 'ens/CIoU@0.5_adaptive'


def log(folder, start, epochs):
    """A run of two iterations an epoch, as MMEngine writes it."""
    records = []
    for epoch in epochs:
        for n in (1, 2):
            iteration = 2 * (epoch - 1) + n
            records.append(
                dict(loss=1 / iteration, time=0.1 * epoch, epoch=epoch, iter=iteration)
                | dict(step=iteration)
            )
        records.append({KEY: 10.0 * epoch, 'ref/disc/CIoU@0.5_adaptive': 28.0})
        records[-1]['step'] = epoch
    path = folder / start / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text('\n'.join(map(json.dumps, records)) + '\n')
    return folder


@pytest.fixture
def run(tmp_path):
    """A run that was resumed after its second epoch."""
    return log(log(tmp_path / 'xpl', '20260101', (1, 2)), '20260102', (2, 3))


def plot(*arguments):
    main(['plot_curve', *map(str, arguments)])


def test_table_joins_the_logs_of_a_resumed_run(run, tmp_path):
    out = tmp_path / 'new' / 'curve.csv'
    plot(run, '--keys', KEY, '--out', out)
    with open(out) as file:
        rows = list(csv.DictReader(file))
    assert [(r['epoch'], float(r['value'])) for r in rows] == [
        ('1', 10),
        ('2', 20),
        ('3', 30),
    ]
    plot(run, '--keys', 'loss', '--out', out)
    with open(out) as file:
        assert [r['iteration'] for r in csv.DictReader(file)] == list('123456')


def test_picture_of_two_runs_with_reference_rows(run, tmp_path):
    other = log(tmp_path / 'supcon', '20260101', (1, 2))
    plain, referenced = tmp_path / 'plain.png', tmp_path / 'ref.png'
    plot(run, other, '--keys', KEY, '--out', plain)
    plot(run, other, '--keys', KEY, '--reference', '--out', referenced)
    pictures = [cv2.imread(str(path)) for path in (plain, referenced)]
    assert pictures[0].shape == pictures[1].shape
    assert (pictures[0] != pictures[1]).any()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--keys', 'nothing'], "has no 'nothing'; it has ens/CIoU"),
        (['--keys', KEY, 'loss'], 'plot them apart'),
        (['--keys', 'loss', '--reference'], 'no reference rows for loss'),
    ],
)
def test_what_cannot_be_plotted_is_said(run, tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit) as caught:
        plot(run, *arguments, '--out', tmp_path / 'x.png')
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_an_empty_folder_is_named(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(['keys', str(tmp_path)])
    assert f'{tmp_path}: holds no logged scalars' in capsys.readouterr().err


def test_time_and_keys(run, capsys):
    main(['cal_train_time', str(run)])
    out = capsys.readouterr().out
    assert 'xpl: 0.2000 s an iteration; slowest epoch 3: 0.3000 s' in out
    main(['keys', str(run)])
    assert f'{KEY} (3)' in capsys.readouterr().out  # epoch 2 once
