"""Videos whose pictures and sounds tell the time."""

from fractions import Fraction

import numpy as np
import pytest


def write_video(
    path,
    seconds=3.0,
    fps=10,
    codec='ffv1',
    sound=True,
    pictures=True,
    rate=22050,
    layout='stereo',
    channels=(0,),
    times=None,
    size=32,
    first=20,
):
    """Writes a video whose frames say their number and whose sound says its time.

    Frame n has the luma ``first`` + 5 n and is shown from ``times[n]``, in
    milliseconds, or at ``fps``. The sound is 440 Hz in some of the channels.
    """
    av = pytest.importorskip('av')
    unit = Fraction(1, 1000) if times else Fraction(1, fps)
    times = times or range(round(seconds * fps))
    with av.open(str(path), 'w') as container:
        if pictures:
            stream = container.add_stream(codec, rate=fps)
            stream.width = stream.height = size
            stream.pix_fmt = 'yuvj420p' if codec == 'mjpeg' else 'yuv420p'
            stream.time_base = stream.codec_context.time_base = unit
        if sound:
            lossless = codec in ('ffv1', 'mjpeg')
            track = container.add_stream('pcm_s16le' if lossless else 'aac')
            track.rate, track.layout = rate, layout
            time = np.arange(round(seconds * rate)) / rate
            wave = np.round(16000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)
            count = len(av.AudioLayout(layout).channels)
            sounds = np.zeros((len(wave), count), np.int16)
            sounds[:, list(channels)] = wave[:, None]
        if pictures:
            for n, begin in enumerate(times):
                planes = np.full((size * 3 // 2, size), 128, np.uint8)  # grey
                planes[:size] = first + 5 * n
                frame = av.VideoFrame.from_ndarray(planes, format=stream.pix_fmt)
                frame.pts, frame.time_base = begin, unit
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        if sound:
            for begin in range(0, len(wave), 1024):
                part = sounds[begin : begin + 1024].reshape(1, -1)
                frame = av.AudioFrame.from_ndarray(part, format='s16', layout=layout)
                frame.rate, frame.pts = rate, begin
                frame.time_base = Fraction(1, rate)
                container.mux(track.encode(frame))
            container.mux(track.encode(None))
    return path


def write_clock_video(path, picture, sounds, codec='ffv1', container=None, **options):
    """Writes a video whose picture and sound both tell the time.

    At ``t`` seconds the luma of the picture is 20 + 20 t, the sound has 300 + 200 t Hz.

    Args:
        path (Path): where to.
        picture (Iterable[float]): when each frame begins, in seconds.
        sounds (Iterable[tuple[float, float]]): begin and end of each part of the
            sound that is stored, in seconds.
        codec (str): of the picture; the sound is PCM with 'ffv1', else AAC.
        container (str, optional): defaults to what the file's ending says.
        **options: of the picture's codec.
    """
    av = pytest.importorskip('av')
    size, rate, unit = 32, 16000, Fraction(1, 1000)
    with av.open(str(path), 'w', format=container) as output:
        stream = output.add_stream(codec, rate=10, options=options)
        stream.width = stream.height = size
        stream.pix_fmt = 'yuv420p'
        stream.time_base = stream.codec_context.time_base = unit
        track = output.add_stream('pcm_s16le' if codec == 'ffv1' else 'aac')
        track.rate, track.layout = rate, 'mono'
        packets = []
        for begin in picture:
            planes = np.full((size * 3 // 2, size), 128, np.uint8)
            planes[:size] = round(20 + 20 * begin)
            frame = av.VideoFrame.from_ndarray(planes, format='yuv420p')
            frame.pts, frame.time_base = round(1000 * begin), unit
            packets += stream.encode(frame)
        packets += stream.encode(None)
        for begin, end in sounds:
            for first in range(round(begin * rate), round(end * rate), 1024):
                time = np.arange(first, min(first + 1024, round(end * rate))) / rate
                wave = np.sin(2 * np.pi * (300 * time + 100 * time**2))
                part = np.round(16000 * wave).astype(np.int16)
                frame = av.AudioFrame.from_ndarray(part[None], 's16', 'mono')
                frame.rate, frame.pts, frame.time_base = rate, first, Fraction(1, rate)
                packets += track.encode(frame)
        packets += track.encode(None)
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            output.mux(packet)
    return path
