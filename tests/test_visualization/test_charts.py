import json

import cv2
import pytest
from matplotlib.figure import Figure

from mmxpl.utils import DataError
from mmxpl.visualization import plot_learning_curves
from mmxpl.visualization.charts import read_run, read_scalars, score_curve

KEY = 'ens/CIoU@0.5_adaptive'


def records(scores, key=KEY):
    """What MMEngine logs: losses by iteration, scores by epoch."""
    log = []
    for epoch, score in enumerate(scores, start=1):
        log.append({'loss': 1.0, 'epoch': epoch, 'iter': epoch * 9, 'step': epoch * 9})
        log.append({key: score, 'time': 0.1, 'step': epoch})
    return log


def write_scalars(path, log):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(''.join(json.dumps(record) + '\n' for record in log))
    return path


@pytest.fixture
def figures(monkeypatch):
    """Figures that were saved, to look at what they hold."""
    saved = []
    save = Figure.savefig

    def spy(figure, *args, **kwargs):
        saved.append(figure)
        save(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, 'savefig', spy)
    return saved


def lines(figure):
    """Steps and values of each line, by name."""
    return {
        line.get_label(): (list(line.get_xdata()), list(line.get_ydata()))
        for line in figure.axes[0].lines
    }


def test_scores_are_found_among_the_losses():
    assert score_curve(records([3.0, 5.0]), KEY) == ([1, 2], [3.0, 5.0])


def test_steps_rise_whatever_the_order_of_the_records():
    assert score_curve(records([3.0, 5.0])[::-1], KEY) == ([1, 2], [3.0, 5.0])


def test_a_repeated_step_counts_once_and_last():
    log = records([1.0, 2.0, 3.0]) + [{KEY: 9.0, 'step': 2}]
    assert score_curve(log, KEY) == ([1, 2, 3], [1.0, 9.0, 3.0])


def test_runs_by_name(tmp_path, figures):
    out_file = tmp_path / 'new' / 'curves.png'
    path = write_scalars(
        tmp_path / 'xpl' / 'vis_data' / 'scalars.json', records([1, 4])
    )
    plot_learning_curves(
        {'XPL': path, 'supervised': records([1, 3])},
        KEY,
        out_file,
        reference={'centred disc': 2.5},
        title='5 % labels',
    )
    assert min(cv2.imread(str(out_file)).shape[:2]) > 400
    drawn = lines(figures[0])
    assert drawn['XPL'] == ([1, 2], [1, 4])
    assert drawn['supervised'] == ([1, 2], [1, 3])
    assert drawn['centred disc (2.5)'][1] == [2.5, 2.5]
    axes = figures[0].axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ('Epoch', 'CIoU@0.5 (%)')
    assert axes.get_title(loc='left') == '5 % labels'
    colours = [line.get_color() for line in axes.lines]
    assert len(set(colours)) == 3
    assert axes.lines[-1].get_linestyle() == '--'


def test_keys_of_one_run(tmp_path, figures):
    log = records([1, 2]) + records([3, 4], 'a/CIoU@0.5_adaptive')
    plot_learning_curves(
        log,
        [KEY, 'a/CIoU@0.5_adaptive'],
        tmp_path / 'curves.png',
        labels={KEY: 'ensemble'},
    )
    assert set(lines(figures[0])) == {'ensemble', 'a/CIoU@0.5_adaptive'}
    assert len({line.get_color() for line in figures[0].axes[0].lines}) == 2


def test_keys_of_several_runs_share_the_colour_of_their_run(tmp_path, figures):
    log = records([1, 2]) + records([3, 4], 'a')
    plot_learning_curves({'x': log, 'y': log}, [KEY, 'a'], tmp_path / 'curves.png')
    drawn = figures[0].axes[0].lines
    assert [line.get_label() for line in drawn] == [
        f'x, {KEY}',
        'x, a',
        f'y, {KEY}',
        'y, a',
    ]
    colours = [line.get_color() for line in drawn]
    assert colours[0] == colours[1] != colours[2] == colours[3]
    assert drawn[0].get_linestyle() != drawn[1].get_linestyle()


def test_a_resumed_run_is_one_line(tmp_path, figures):
    again = [{KEY: 5, 'step': 2}, {KEY: 6, 'step': 3}]
    for start, log in (('1', records([1, 2])), ('2', again)):
        write_scalars(tmp_path / 'run' / start / 'vis_data' / 'scalars.json', log)
    plot_learning_curves({'run': tmp_path / 'run'}, KEY, tmp_path / 'curves.png')
    assert lines(figures[0])['run'] == ([1, 2, 3], [1, 5, 6])


def test_legend_lies_outside_the_data(tmp_path, figures):
    plot_learning_curves(
        {f'a rather long name of run {i}': records([i, 2]) for i in range(5)},
        KEY,
        tmp_path / 'curves.png',
        {'centred disc': 1.0},
    )
    figure = figures[0]
    legend = figure.legends[0].get_window_extent()
    data = figure.axes[0].get_window_extent()
    assert legend.x0 >= data.x1
    assert legend.x1 <= figure.bbox.x1
    assert data.width > 0.4 * figure.bbox.width


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match='scalars.json: no such file'):
        plot_learning_curves(tmp_path / 'scalars.json', KEY, tmp_path / 'c.png')


def test_missing_score_is_named_with_those_there(tmp_path):
    path = write_scalars(tmp_path / 'scalars.json', records([1]))
    with pytest.raises(
        DataError, match=r"scalars.json.*'b/AUC'.*ens/CIoU@0.5_adaptive"
    ):
        plot_learning_curves(path, 'b/AUC', tmp_path / 'c.png')
    with pytest.raises(DataError, match="my run: .*'b/AUC'"):
        plot_learning_curves({'my run': records([1])}, 'b/AUC', tmp_path / 'c.png')


def test_a_spoilt_line_is_named(tmp_path):
    path = tmp_path / 'scalars.json'
    path.write_text('{"step": 1}\n[2]\n{"step": 3}\n')
    with pytest.raises(DataError, match='line 2 is not a JSON object'):
        read_scalars(path)


def test_the_torn_last_line_of_a_killed_run_is_dropped(tmp_path):
    path = tmp_path / 'scalars.json'
    path.write_text('{"step": 1}\n\n{"step": 2, "lo')
    assert read_scalars(path) == [{'step': 1}]


def test_logs_of_a_work_directory_are_joined_oldest_first(tmp_path):
    for start in ('20260103', '20260101', '20260102'):
        path = tmp_path / start / 'vis_data' / 'scalars.json'
        write_scalars(path, [{'step': 1, 'start': start}, {'model': 'no step'}])
    assert [record['start'] for record in read_run(tmp_path)] == [
        '20260101',
        '20260102',
        '20260103',
    ]
    empty = tmp_path / 'empty'
    empty.mkdir()
    with pytest.raises(DataError, match='holds no logged scalars'):
        read_run(empty)


def test_of_two_runs_in_a_work_directory_the_later_counts(tmp_path):
    logs = {'1': records([10, 20, 30]), '2': records([5, 6])}
    # resumed after the first epoch, and stopped before the third
    logs['3'] = records([7, 8])[2:]
    for name, log in logs.items():
        write_scalars(tmp_path / name / 'vis_data' / 'scalars.json', log)
        if name == '2':
            assert read_run(tmp_path) == log
    assert score_curve(read_run(tmp_path), KEY) == ([1, 2], [5, 8])
    assert read_run(tmp_path) == [*records([5]), *logs['3']]


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / 'epoch_1.pth'
    path.write_bytes(b'\x80\n\xff\n')
    with pytest.raises(DataError, match='line 1 is not a JSON object'):
        read_scalars(path)
