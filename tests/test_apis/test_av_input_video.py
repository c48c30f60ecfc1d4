import numpy as np
import pytest
import soundfile

from mmxpl.apis.av_input import SoundWindow, WindowReader, video_pairs
from mmxpl.datasets.video_io import FrameReader
from mmxpl.datasets.video_sound import SoundReader, read_video_sound
from mmxpl.utils import DataError

pytest.importorskip('av')
RATE = 8000
WINDOW = SoundWindow(RATE, 0.5)


@pytest.fixture(scope='module')
def video(make_video, tmp_path_factory):
    return str(make_video(tmp_path_factory.mktemp('v') / 'clip.mkv', seconds=3.0))


def test_the_window_lies_around_the_frame(video):
    whole = read_video_sound(video, RATE).astype(np.float32) / 32768
    filled = np.concatenate([np.zeros(RATE), whole, np.zeros(RATE)])
    with FrameReader(video) as frames, WindowReader(frames, WINDOW) as reader:
        for time in (0.0, 0.1, 0.7, 0.7, 1.9, 2.9, 3.0, 3.2):
            start = round(time * RATE) - RATE // 4
            found, rate = reader.window(time)
            assert (rate, found.dtype) == (RATE, np.float32)
            wanted = filled[RATE + start : RATE + start + RATE // 2]
            np.testing.assert_array_equal(found[:, 0], wanted)


def test_only_about_a_window_of_sound_is_held(make_video, tmp_path):
    path = str(make_video(tmp_path / 'long.mkv', seconds=20.0, fps=2))
    held = []
    with SoundReader(path, RATE) as reader:
        for start in range(0, 20 * RATE, RATE // 2):
            reader.read(start, RATE // 2)
            held.append(sum(len(part) for _, part in reader._held))
    assert max(held) < RATE  # 20 s are twenty times as many


def test_a_frame_every_so_often(video):
    taken = list(video_pairs(video, 0.5, WINDOW))
    assert [time for time, _, _ in taken] == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5])
    assert len(list(video_pairs(video, 0, WINDOW))) == 30
    # more often than there are frames: each once
    assert len(list(video_pairs(video, 0.01, WINDOW))) == 30
    # the luma of frame n is 20 + 5 n, of limited range
    grey = [(frame.mean() * 219 / 255 + 16 - 20) / 5 for _, frame, _ in taken]
    assert grey == pytest.approx([0, 5, 10, 15, 20, 25], abs=0.3)


def test_times_between_frames_go_to_the_next_one(make_video, tmp_path):
    path = make_video(tmp_path / 'v.mkv', times=[0, 400, 1100, 1200, 2600])
    times = [time for time, _, _ in video_pairs(str(path), 1.0, WINDOW)]
    assert times == pytest.approx([0, 1.1, 2.6])


def test_around_a_short_sound_is_silence(make_video, tmp_path):
    path = make_video(tmp_path / 'v.mkv', seconds=0.1)
    ((_, _, (sound, _)),) = video_pairs(str(path), 1.0, WINDOW)
    heard = np.flatnonzero(sound)
    assert len(sound) == RATE / 2
    assert heard[0] == pytest.approx(RATE / 4, abs=8)
    assert heard[-1] == pytest.approx(0.35 * RATE, abs=8)


def test_frames_after_the_sound_are_said(make_video, tmp_path, logged):
    pictures = make_video(tmp_path / 'v.mkv', seconds=1.0, times=range(0, 4000, 500))
    found = list(video_pairs(str(pictures), 1.0, WINDOW))
    assert len(found) == 4
    assert 'no sound is stored around 2.0 s' in logged()
    assert [bool(sound.any()) for _, _, (sound, _) in found] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [(dict(sound=False), 'has no sound'), (dict(pictures=False), 'has no pictures')],
)
def test_both_are_needed(make_video, tmp_path, kwargs, message):
    path = make_video(tmp_path / 'v.mkv', **kwargs)
    with pytest.raises(DataError, match=f'v.mkv: the file {message}'):
        next(video_pairs(str(path), 1.0, WINDOW))


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / 'v.mp4'
    path.write_bytes(b'no video at all' * 50)
    with pytest.raises(DataError, match=r'v\.mp4: the file is damaged or no video'):
        next(video_pairs(str(path), 1.0, WINDOW))


@pytest.mark.parametrize('every', [-1.0, float('inf'), float('nan'), '1'])
def test_the_interval_is_checked(video, every):
    with pytest.raises(DataError, match='every: must be seconds'):
        next(video_pairs(video, every, WINDOW))


def test_videos_of_a_folder_go_on_without_a_damaged_one(
    inferencer, make_video, tmp_path, logged
):
    make_video(tmp_path / 'a.mkv', seconds=0.5)
    make_video(tmp_path / 'c.mkv', seconds=0.5)
    make_video(tmp_path / 'c.mp4', seconds=0.5, codec='mpeg4')
    (tmp_path / 'b.mkv').write_bytes(b'no video at all' * 50)
    found = inferencer(tmp_path, out_dir=tmp_path / 'out')['predictions']
    names = ['a_0.000s', 'c.mkv_0.000s', 'c.mp4_0.000s']
    assert [p['sample_id'] for p in found] == names
    (reason,) = inferencer.failed
    assert 'b.mkv: the file is damaged or no video' in reason
    assert f'1 files of a folder cannot be used:\n  {reason}' in logged()
    with pytest.raises(DataError, match='b.mkv'):
        inferencer([tmp_path / 'a.mkv', tmp_path / 'b.mkv'])
    for path in (tmp_path / 'a.mkv', tmp_path / 'c.mkv', tmp_path / 'c.mp4'):
        path.unlink()
    with pytest.raises(DataError, match='1 files of a folder cannot be used'):
        inferencer(tmp_path)


def test_a_video_is_heard_as_the_converter_s_files(inferencer, video, tmp_path):
    # the moment in the middle: the converter's sound, centred, is the same window
    import cv2
    import torch

    from mmxpl.datasets.video_io import FrameReader

    with FrameReader(video) as frames:
        cv2.imwrite(str(tmp_path / 'a.png'), frames.read(1.5)[1])
    sound = read_video_sound(video, RATE)
    soundfile.write(tmp_path / 'a.wav', sound, RATE, subtype='PCM_16')
    pair = (str(tmp_path / 'a.png'), str(tmp_path / 'a.wav'))
    (of_files,) = inferencer(pair, return_datasamples=True)['predictions']
    found = inferencer(video, return_datasamples=True, every=1.5)['predictions']
    assert [round(s.time, 3) for s in found] == [0, 1.5]
    assert found[1].sample_id == 'clip_1.500s'
    # the two windows may be apart by half a sample
    torch.testing.assert_close(
        found[1].pred_map.ens, of_files.pred_map.ens, rtol=0, atol=2e-3
    )
