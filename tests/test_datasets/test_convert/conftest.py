"""Videos whose frames say their number and whose sound says its time."""

from fractions import Fraction

import numpy as np
import pytest

RATE = 22050


def write_video(path, seconds=3.0, fps=10, codec='ffv1', sound=True, pictures=True):
    """Frame n has the luma 20 + 5 n; the sound is 440 Hz, left of two."""
    av = pytest.importorskip('av')
    with av.open(str(path), 'w') as container:
        if pictures:
            stream = container.add_stream(codec, rate=fps)
            stream.width = stream.height = 32
            stream.pix_fmt = 'yuv420p'
            stream.time_base = Fraction(1, fps)
        if sound:
            track = container.add_stream('pcm_s16le' if codec == 'ffv1' else 'aac')
            track.rate, track.layout = RATE, 'stereo'
            time = np.arange(round(seconds * RATE)) / RATE
            wave = np.round(16000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)
            both = np.stack([wave, np.zeros_like(wave)], 1).reshape(1, -1)
        if pictures:
            for n in range(round(seconds * fps)):
                planes = np.full((48, 32), 128, np.uint8)  # grey
                planes[:32] = 20 + 5 * n
                frame = av.VideoFrame.from_ndarray(planes, format='yuv420p')
                frame.pts, frame.time_base = n, Fraction(1, fps)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        if sound:
            for begin in range(0, len(wave), 1024):
                part = np.ascontiguousarray(both[:, 2 * begin : 2 * (begin + 1024)])
                frame = av.AudioFrame.from_ndarray(part, format='s16', layout='stereo')
                frame.rate, frame.pts = RATE, begin
                frame.time_base = Fraction(1, RATE)
                container.mux(track.encode(frame))
            container.mux(track.encode(None))
    return path


@pytest.fixture(scope='session')
def make_video():
    """Gives :func:`write_video`."""
    return write_video
