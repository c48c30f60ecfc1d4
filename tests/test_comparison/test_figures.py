"""Curves of trainings, read from what MMEngine logs."""

import csv
import json

import pytest

from mmxpl.comparison.figures import (
    draw_curves,
    draw_efficiency,
    read_curves,
    write_curves,
)
from mmxpl.comparison.tables import SCORES

LOSS, SCORE = 'a.loss_supervised', 'ens/CIoU@0.5_adaptive'


def log(folder, leg, records):
    path = folder / leg / 'vis_data/scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text(''.join(json.dumps(record) + '\n' for record in records))


@pytest.fixture
def run(tmp_path):
    log(
        tmp_path,
        '20260101_000000',
        [
            {LOSS: 0.9, 'epoch': 1, 'iter': 50, 'step': 50},
            {LOSS: 0.7, 'epoch': 1, 'iter': 100, 'step': 100},
            {SCORE: 40.0, 'step': 1},
            {LOSS: 99.0, 'epoch': 2, 'iter': 150, 'step': 150},
        ],
    )
    # resumed from the end of epoch 1
    log(
        tmp_path,
        '20260102_000000',
        [
            {LOSS: 0.5, 'epoch': 2, 'iter': 150, 'step': 150},
            {SCORE: 50.0, 'step': 2},
        ],
    )
    return tmp_path


def test_losses_are_means_of_an_epoch_and_a_later_leg_replaces_a_former(run):
    curves = read_curves(run)
    assert curves[LOSS] == pytest.approx({1.0: 0.8, 2.0: 0.5})
    assert curves[SCORE] == {1.0: 40.0, 2.0: 50.0}


def test_a_later_training_that_was_not_resumed_replaces_a_former(run):
    begin = {LOSS: 0.3, 'epoch': 1, 'iter': 50, 'step': 50}
    log(run, '20260103_000000', [begin, {SCORE: 30.0, 'step': 1}])
    assert read_curves(run) == {LOSS: {1.0: 0.3}, SCORE: {1.0: 30.0}}


def test_curves_are_written_point_by_point(run, tmp_path):
    path = tmp_path / 'curves.csv'
    write_curves({'xpl': [read_curves(run), read_curves(run)]}, path)
    with open(path, newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert rows[0].keys() == {'method', 'run', 'curve', 'epoch', 'value'}
    assert {
        (r['run'], r['epoch'], r['value']) for r in rows if r['curve'] == SCORE
    } == {
        (run, epoch, value)
        for run in '01'
        for epoch, value in (('1', '40'), ('2', '50'))
    }


def test_figures_show_every_method_and_need_no_screen(run, tmp_path):
    from mmcv import imread

    curves = {'xpl': [read_curves(run)], 'supcon': [read_curves(run)] * 2, 'dmt': []}
    titles = {'xpl': 'XPL', 'supcon': 'supervised', 'dmt': 'DMT'}
    draw_curves(curves, titles, tmp_path / 'curves.png')
    rows = [
        dict(method='xpl', seed=s, labeled=f, model=m, **dict.fromkeys(SCORES, 50 + s))
        for s in range(2)
        for f in (0.03, 0.1)
        for m in ('a', 'b', 'ens')
    ]
    draw_efficiency(rows, titles, tmp_path / 'efficiency.png')
    for name in ('curves', 'efficiency'):
        picture = imread(str(tmp_path / f'{name}.png'))
        assert picture.std() > 5


def test_a_run_that_logged_nothing_has_no_curves_and_no_figure(tmp_path):
    assert read_curves(tmp_path) == {}
    draw_curves({'xpl': [{}]}, {'xpl': 'XPL'}, tmp_path / 'curves.png')
    assert not (tmp_path / 'curves.png').exists()


@pytest.fixture
def figures(monkeypatch):
    """Figures that were saved, to look at what they hold."""
    from matplotlib.figure import Figure

    saved = []
    monkeypatch.setattr(Figure, 'savefig', lambda fig, *_, **__: saved.append(fig))
    return saved


def test_curves_are_means_with_a_band_of_one_deviation(figures, tmp_path):
    runs = [{SCORE: {1.0: 40.0, 2.0: 50.0}}, {SCORE: {1.0: 44.0, 3.0: 60.0}}]
    draw_curves(
        {'xpl': runs, 'dmt': runs[:1]},
        {'xpl': 'XPL', 'dmt': 'DMT'},
        tmp_path / 'curves.png',
    )
    (figure,) = figures
    (axes,) = figure.axes
    mean, single = axes.lines
    # only the epochs that all runs have
    assert (list(mean.get_xdata()), list(mean.get_ydata())) == ([1.0], [42.0])
    assert list(single.get_ydata()) == [40.0, 50.0]
    assert (mean.get_marker(), single.get_marker()) == ('o', 'None')  # no line of one
    assert all(float(x).is_integer() for x in axes.get_xticks())
    (band,) = axes.collections
    low, high = band.get_paths()[0].get_extents().intervaly
    assert (low, high) == pytest.approx((42 - 8**0.5, 42 + 8**0.5))
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ['XPL', 'DMT']
    assert mean.get_color() != single.get_color()


def test_efficiency_is_drawn_over_the_labeled_fraction(figures, tmp_path):
    rows = [
        dict(method='xpl', seed=s, labeled=f, model=m, **dict.fromkeys(SCORES, 50 + s))
        for s in range(3)
        for f in (0.03, 0.1)
        for m in ('a', 'b', 'ens')
    ]
    draw_efficiency(rows, {'xpl': 'XPL'}, tmp_path / 'efficiency.png')
    (figure,) = figures
    assert len(figure.axes) == 4
    for axes in figure.axes:
        (bars,) = axes.containers
        line, _, (deviations,) = bars.lines
        assert list(line.get_xdata()) == [3.0, 10.0]
        assert list(line.get_ydata()) == [51, 51]
        for segment in deviations.get_segments():
            assert segment[:, 1] == pytest.approx([50, 52])
        assert [t.get_text() for t in axes.get_xticklabels()] == ['3', '10']
