import itertools
import math

import numpy as np
import pytest
import torch

from mmxpl.apis import video_overlay
from mmxpl.apis.video_overlay import (
    MapSmoother,
    OverlayOptions,
    overlaid_frames,
    overlay_video,
)
from mmxpl.datasets.video_io import frame_image
from mmxpl.utils import DataError
from mmxpl.visualization.drawing import overlay_heatmap

av = pytest.importorskip('av')


def packets(path):
    with av.open(str(path)) as container:
        track = container.streams.audio[0]
        return [
            (float(p.pts * p.time_base), bytes(p))
            for p in container.demux(track)
            if p.pts is not None
        ]


def frame_times(path):
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


@pytest.fixture(scope='module')
def video(make_video, tmp_path_factory):
    folder = tmp_path_factory.mktemp('v')
    return str(make_video(folder / 'clip.mp4', seconds=2.0, codec='mpeg4', size=64))


def test_the_sound_is_copied_packet_by_packet(inferencer, video, tmp_path):
    seen = []
    done = overlay_video(inferencer, video, tmp_path / 'o.mp4', progress=seen.append)
    assert done == dict(frames=20, maps=10, sound_copied=True)
    assert packets(tmp_path / 'o.mp4') == packets(video)
    assert frame_times(tmp_path / 'o.mp4') == pytest.approx(frame_times(video))
    assert seen == pytest.approx(frame_times(video))
    assert [p.name for p in tmp_path.iterdir()] == ['o.mp4']


def test_a_sound_that_the_container_refuses_is_encoded(inferencer, video, tmp_path):
    done = overlay_video(
        inferencer, video, tmp_path / 'o.webm', OverlayOptions(every=1)
    )
    assert done == dict(frames=20, maps=2, sound_copied=False)
    with av.open(str(tmp_path / 'o.webm')) as container:
        assert container.streams.audio[0].codec.name in ('opus', 'vorbis')
        parts = [f.to_ndarray() for f in container.decode(audio=0)]
    wave = np.concatenate([np.atleast_2d(p)[0] for p in parts])
    assert len(wave) / 48000 == pytest.approx(2, abs=0.1)
    # 440 Hz, as in the source
    spectrum = np.abs(np.fft.rfft(wave[4800:-4800]))
    assert spectrum.argmax() / (len(wave) - 9600) * 48000 == pytest.approx(440, abs=3)


def test_frames_are_consumed_as_they_are_asked_for(inferencer, video, monkeypatch):
    decoded, original = [], video_overlay.frame_image

    def counted(frame):
        decoded.append(frame.pts)
        return original(frame)

    monkeypatch.setattr(video_overlay, 'frame_image', counted)
    frames = overlaid_frames(inferencer, video, OverlayOptions())
    assert decoded == []
    for n in range(5):
        next(frames)
        assert len(decoded) == n + 1
    frames.close()


def test_the_map_stays_until_the_next_and_is_the_inferencer_s(inferencer, video):
    options = OverlayOptions(every=0.5, localizer='a', opacity=0.6)
    frames = list(overlaid_frames(inferencer, video, options))
    assert [f.predicted for f in frames] == [n % 5 == 0 for n in range(20)]
    maps = inferencer(video, every=0.5, return_datasamples=True)['predictions']
    with av.open(video) as container:
        images = [f.to_ndarray(format='rgb24') for f in container.decode(video=0)]
    for n in (0, 4, 5, 19):
        expected = overlay_heatmap(images[n], maps[n // 5].pred_map.a, 0.6)
        difference = expected.astype(int) - frames[n].picture
        assert abs(difference).max() <= 2  # of colour conversion


def test_smoothing_and_boxes_reach_the_picture(inferencer, video):
    plain, smooth, boxes = (
        [f.picture for f in overlaid_frames(inferencer, video, options)]
        for options in (
            OverlayOptions(),
            OverlayOptions(smooth=5.0),
            OverlayOptions(threshold=0.0),
        )
    )
    assert np.array_equal(plain[0], smooth[0])
    assert not np.array_equal(plain[19], smooth[19])
    assert not np.array_equal(plain[0], boxes[0])


def test_a_stream_may_change_its_size(inferencer, video, monkeypatch):
    images = itertools.chain([video_overlay.frame_image] * 3, itertools.repeat(half))
    monkeypatch.setattr(video_overlay, 'frame_image', lambda f: next(images)(f))
    frames = list(overlaid_frames(inferencer, video, OverlayOptions(every=10)))
    heights = [len(f.picture) for f in frames]
    assert heights == [heights[0]] * 3 + [heights[0] // 2] * 17
    assert [f.predicted for f in frames] == [True] + [False] * 19


def half(frame):
    return np.ascontiguousarray(frame_image(frame)[::2, ::2])


def test_odd_sides(inferencer, make_video, tmp_path):
    path = make_video(tmp_path / 'v.mkv', seconds=0.5, size=34)
    source = tmp_path / 'odd.mkv'
    with av.open(str(path)) as old, av.open(str(source), 'w') as new:
        stream = new.add_stream('ffv1', rate=10)
        stream.width, stream.height, stream.pix_fmt = 33, 33, 'bgr0'
        track = new.add_stream_from_template(old.streams.audio[0])
        for frame in old.decode(video=0):
            picture = frame.to_ndarray(format='bgr24')[:33, :33]
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), 'bgr24')
            picture.pts, picture.time_base = frame.pts, frame.time_base
            new.mux(stream.encode(picture))
        new.mux(stream.encode(None))
        old.seek(0)
        for packet in old.demux(audio=0):
            if packet.dts is not None:
                packet.stream = track
                new.mux(packet)
    done = overlay_video(inferencer, str(source), tmp_path / 'o.mp4')
    assert not done['sound_copied']  # raw samples
    with av.open(str(tmp_path / 'o.mp4')) as container:
        stream = container.streams.video[0]
        assert (stream.height, stream.width) == (32, 32)


def test_nothing_is_overwritten_or_left(inferencer, video, tmp_path, monkeypatch):
    target = tmp_path / 'o.mp4'
    target.write_text('mine')
    with pytest.raises(DataError, match=r'o\.mp4: exists already'):
        overlay_video(inferencer, video, target)
    assert target.read_text() == 'mine'
    for name in ('o.txt', 'o.wav', 'o'):
        with pytest.raises(DataError, match='no video can be written'):
            overlay_video(inferencer, video, tmp_path / name)
    # of the target, not of the video
    with pytest.raises(OSError, match=r'o\.mp4'):
        overlay_video(inferencer, video, target / 'p.mp4')

    def break_off(time):
        if time > 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        overlay_video(inferencer, video, tmp_path / 'p.mp4', progress=break_off)
    assert [p.name for p in tmp_path.iterdir()] == ['o.mp4']


def test_a_video_without_sound(inferencer, make_video, tmp_path):
    path = make_video(tmp_path / 'v.mkv', sound=False)
    with pytest.raises(DataError, match='has no sound'):
        overlay_video(inferencer, str(path), tmp_path / 'o.mp4')
    assert not (tmp_path / 'o.mp4').exists()
    assert torch.is_grad_enabled()


def test_without_time_constant_nothing_changes():
    smoother = MapSmoother(0)
    for n in range(3):
        assert smoother(torch.tensor(float(n)), n / 10) == n


@pytest.mark.parametrize('rate', [5, 25, 100])
def test_a_step_is_followed_alike_at_any_rate(rate):
    smoother, tau = MapSmoother(0.4), 0.4
    smoother(torch.zeros(2, 2), 0.0)
    for n in range(1, rate + 1):
        value = smoother(torch.ones(2, 2), n / rate)
    assert value[0, 0].item() == pytest.approx(1 - math.exp(-1 / tau), abs=1e-5)


def test_a_pause_counts():
    smoother = MapSmoother(1.0)
    smoother(torch.zeros(()), 0.0)
    assert smoother(torch.ones(()), 100.0).item() == pytest.approx(1.0)


@pytest.mark.parametrize('tau', [-1, math.inf, math.nan])
def test_the_constant_is_checked(tau):
    with pytest.raises(ValueError, match='tau'):
        MapSmoother(tau)
