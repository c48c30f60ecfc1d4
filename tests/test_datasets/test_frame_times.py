import pytest

from mmxpl.datasets.frame_times import (
    FrameTime,
    FrameTimes,
    is_seconds,
    read_frame_times,
)
from mmxpl.utils import DataError


@pytest.mark.parametrize(
    ('value', 'expected'),
    [(0, True), (-2.5, True), (float('nan'), False), (1e9, False), (True, False)],
)
def test_seconds(value, expected):
    assert is_seconds(value) is expected
    assert not is_seconds(str(value))


def test_what_is_added_is_read_back(tmp_path):
    path = tmp_path / 'new' / 'frame_times.csv'
    times = FrameTimes(path)
    times.add('b', FrameTime(2.5, 'b, the second.mp4', 'sound from 1.00 s'))
    times.add('a', FrameTime(0.125))
    times.add('b', FrameTime(3.0, 'b.mp4', stamp='7 8'))
    assert read_frame_times(path) == times.known == FrameTimes(path).known
    assert times.known['b'] == FrameTime(3.0, 'b.mp4', '', '7 8')
    times.tidy()
    assert path.read_text().splitlines() == [
        'sample_id,frame_time,video,note,stamp',
        'a,0.125000,,,',
        'b,3.000000,b.mp4,,7 8',
    ]


def test_a_file_without_stamps_goes_on_with_them(tmp_path):
    path = tmp_path / 'frame_times.csv'
    path.write_text('sample_id,frame_time,video,note\na,1.0,a.mp4,x\n')
    times = FrameTimes(path)
    times.add('b', FrameTime(2.0, 'b.mp4', 'y', '7 8'))
    assert read_frame_times(path) == times.known
    assert times.known['a'] == FrameTime(1.0, 'a.mp4', 'x', '')


def test_no_file_and_an_empty_one_hold_no_times(tmp_path):
    path = tmp_path / 'frame_times.csv'
    assert read_frame_times(path) == {}
    path.touch()
    assert read_frame_times(path) == {}


def test_half_a_line_of_an_interrupted_run_is_removed(tmp_path):
    path = tmp_path / 'frame_times.csv'
    FrameTimes(path).add('a', FrameTime(1.0))
    with open(path, 'a') as file:
        file.write('b,2.0')
    times = FrameTimes(path)
    assert list(times.known) == ['a']
    times.add('c', FrameTime(2.0))
    assert list(read_frame_times(path)) == ['a', 'c']


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('id,time\n', 'must begin with the row sample_id,frame_time,video,note,'),
        ('sample_id,frame_time,video,note\na,soon,,\n', 'row 2: must be an id'),
        ('sample_id,frame_time,video,note\na,1\n', 'row 2: must be an id'),
        ('sample_id,frame_time,video,note\na,1,,,,\n', 'row 2: must be an id'),
    ],
)
def test_malformed_files_are_named(tmp_path, content, message):
    path = tmp_path / 'frame_times.csv'
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_frame_times(path)


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    times = FrameTimes(tmp_path / 'file' / 'frame_times.csv')
    (tmp_path / 'file').touch()
    with pytest.raises(DataError, match=r'frame_times\.csv: could not be written'):
        times.add('a', FrameTime(1.0))
