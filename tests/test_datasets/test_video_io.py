import shutil
import struct
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from mmxpl.datasets.video_io import FrameReader, frame_image
from mmxpl.datasets.video_sound import read_video_clip, read_video_sound
from mmxpl.utils import DataError

av = pytest.importorskip('av', reason='videos are read with PyAV')


def read_video_frame(path, time='middle'):
    with FrameReader(path) as frames:
        return frames.read(frames.last_time() / 2 if time == 'middle' else time)[1]


def _number(image):
    """Number of a frame by its grey value."""
    assert image.dtype == np.uint8
    assert image.shape == (32, 32, 3)
    luma = 16 + float(image.mean()) * 219 / 255  # ITU-R BT.601
    return (luma - 20) / 5


@pytest.fixture(scope='module')
def lossless(make_video, tmp_path_factory):
    return str(make_video(tmp_path_factory.mktemp('video') / 'a.mkv'))


@pytest.fixture(scope='module')
def mp4(make_video, tmp_path_factory):
    path = tmp_path_factory.mktemp('video') / 'a.mp4'
    return str(make_video(path, codec='libx264'))


@pytest.mark.parametrize(
    ('time', 'number'),
    [(0, 0), (0.05, 0), (0.1, 1), (1.0, 10), (1.19, 11), (2.9, 29), (2.99, 29)],
)
def test_the_frame_that_is_shown_then(lossless, mp4, time, number):
    assert _number(read_video_frame(lossless, time)) == pytest.approx(number, abs=0.25)
    # through key frames and frames out of order
    assert _number(read_video_frame(mp4, time)) == pytest.approx(number, abs=0.4)


def test_the_middle(lossless, mp4):
    for path in (lossless, mp4):
        assert _number(read_video_frame(path)) == pytest.approx(14, abs=0.4)  # 1.45 s


@pytest.mark.parametrize('time', [3.2, 5.0])
def test_a_video_that_ends_before_is_no_replacement(lossless, mp4, time):
    for path in (lossless, mp4):
        with pytest.raises(DataError, match=r'ends at 3\.0. s, before the frame at'):
            read_video_frame(path, time)


def test_frames_that_come_unevenly(make_video, tmp_path):
    """A phone's video: 10 frames in the first 0.1 s, then fewer and fewer."""
    times = [*range(0, 100, 10), 200, 400, 800, 1600]
    path = str(make_video(tmp_path / 'a.mkv', times=times))
    for time, number in ((0.05, 5), (0.095, 9), (0.3, 10), (0.79, 11), (1.59, 12)):
        found = _number(read_video_frame(path, time))
        assert found == pytest.approx(number, abs=0.25)
    assert _number(read_video_frame(path, 1.7)) == pytest.approx(13, abs=0.25)


def test_tracks_that_are_not_there(make_video, tmp_path):
    silent = str(make_video(tmp_path / 'silent.mkv', 0.5, sound=False))
    blind = str(make_video(tmp_path / 'blind.mkv', 0.5, pictures=False))
    with pytest.raises(DataError, match=r'silent\.mkv: the file has no sound'):
        read_video_sound(silent, 16000)
    with pytest.raises(DataError, match=r'blind\.mkv: the file has no pictures'):
        read_video_frame(blind)
    assert len(read_video_sound(blind, 16000)) == pytest.approx(8000, abs=32)


@pytest.mark.parametrize('keep', [0, 10, 0.5])
def test_damaged_files_are_named(mp4, tmp_path, keep):
    with open(mp4, 'rb') as file:
        data = file.read()
    bad = tmp_path / 'bad.mp4'
    bad.write_bytes(data[: int(keep * len(data)) if keep < 1 else keep])
    for read in (read_video_frame, lambda path: read_video_sound(path, 16000)):
        with pytest.raises(
            DataError, match=r'bad\.mp4: the file is (damaged or no|truncated)'
        ):
            read(str(bad))
    with pytest.raises(DataError, match=r'none\.mp4'):
        read_video_frame(str(tmp_path / 'none.mp4'))


def test_a_cut_video_is_refused_where_it_was_cut(lossless, tmp_path):
    with open(lossless, 'rb') as file:
        data = file.read()
    cut = tmp_path / 'cut.mkv'
    cut.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r'cut\.mkv: the file'):
        read_video_frame(str(cut), 2.9)


@pytest.mark.parametrize(
    ('matrix', 'shown'),
    [
        ((1, 0, 0, 1), lambda image: image),
        ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),  # clockwise
        ((-1, 0, 0, 1), np.fliplr),
        ((1, 0, 0, -1), np.flipud),
        ((0, 1, 1, 0), np.transpose),
        ((0, -1, -1, 0), lambda image: np.rot90(image, 2).T),
    ],
)
def test_a_phone_s_video_is_upright(tmp_path, matrix, shown):
    path = tmp_path / 'phone.mp4'
    planes = np.full((48, 32), 128, np.uint8)
    # brighter to the right, and a little to the bottom
    planes[:32] = 30 + 4 * np.arange(32) + np.arange(32)[:, None]
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=10)
        stream.width = stream.height = 32
        frame = av.VideoFrame.from_ndarray(planes, format='yuv420p')
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    # track header, ISO/IEC 14496-12 8.3.2
    data = bytearray(path.read_bytes())
    begin = data.index(b'tkhd') + 44
    one, w = 1 << 16, 1 << 30
    assert struct.unpack('>9i', data[begin : begin + 36]) == (
        *(one, 0, 0, 0, one, 0, 0, 0, w),
    )
    before = read_video_frame(str(path)).astype(int).mean(axis=2)
    assert (np.diff(before.mean(axis=0)) > 3).all()
    a, b, c, d = (one * value for value in matrix)
    data[begin : begin + 36] = struct.pack('>9i', a, b, 0, c, d, 0, 0, 0, w)
    path.write_bytes(data)
    image = read_video_frame(str(path)).astype(int).mean(axis=2)
    assert (image == shown(before)).all()


@pytest.mark.parametrize(
    ('degrees', 'expected'),
    # counterclockwise: what was on the right comes to the top
    [
        (0, [[0, 1, 2], [3, 4, 5]]),
        (90, [[2, 5], [1, 4], [0, 3]]),
        (-90, [[3, 0], [4, 1], [5, 2]]),
        (180, [[5, 4, 3], [2, 1, 0]]),
    ],
)
def test_frames_are_turned_upright(degrees, expected):
    image = np.arange(6).reshape(2, 3, 1)
    frame = SimpleNamespace(
        rotation=degrees, side_data={}, to_ndarray=lambda format: image
    )
    assert frame_image(frame)[..., 0].tolist() == expected


def test_without_pyav_the_remedy_is_said(lossless, monkeypatch):
    monkeypatch.setitem(sys.modules, 'av', None)
    with pytest.raises(DataError, match='pip install "av>=14"'):
        read_video_frame(lossless)


def test_clips_of_too_many_pixels_are_not_decoded(make_video, tmp_path, monkeypatch):
    path = str(make_video(tmp_path / 'a.mkv', 0.5, size=64))
    read_video_clip(path, 8000)
    monkeypatch.setattr('mmxpl.datasets.media.MAX_PIXELS', 64 * 63)
    with pytest.raises(
        DataError, match=r'picture of 64 x 64 exceeds the limit of 4032'
    ):
        read_video_clip(path, 8000)


def test_opening_does_not_depend_on_the_ending(make_video, tmp_path):
    path = make_video(tmp_path / 'a.mkv', 0.5)
    shutil.copy(path, tmp_path / 'b.mp4')
    np.testing.assert_array_equal(
        read_video_clip(str(path), 8000).wave,
        read_video_clip(str(tmp_path / 'b.mp4'), 8000).wave,
    )
