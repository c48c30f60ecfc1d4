"""Measures what a frame of the video demo costs beside its prediction, by part.

Drawing: a layer for each map, laid over five frames (the default of a map each 0.2 s),
against drawing each frame anew with OpenCV's own colouring. Encoding: the options of
``mmxpl.apis.video_output`` against the encoder's defaults, with size and PSNR. Frames
are a pan over noise of all scales, 640 x 360. Times are milliseconds of CPU a frame,
with one thread.
"""

import argparse
import io
import time
from collections.abc import Callable, Sequence

import av
import cv2
import numpy as np
import torch

from mmxpl.apis.video_output import ENCODER_OPTIONS
from mmxpl.visualization.drawing import (
    COLOUR_MAP,
    CONTOUR_LEVEL,
    HeatLayer,
    draw_level,
    upsample_map,
)

SIZE, MAP_FRAMES, OPACITY = (360, 640), 5, 0.6


def pan(count: int) -> list[np.ndarray]:
    """Draws grey frames of a slow pan over a scene of noise."""
    rng = np.random.default_rng(0)
    height, width = SIZE[0] + count, SIZE[1] + 2 * count
    scene = sum(
        scale
        * cv2.resize(
            rng.normal(size=(45 // scale * 8, 80 // scale * 8)), (width, height)
        )
        for scale in (1, 2, 4, 8)
    )
    scene = np.clip(128 + 12 * scene, 0, 255).astype(np.uint8)
    return [scene[n : n + SIZE[0], 2 * n : 2 * n + SIZE[1]] for n in range(count)]


def draw_anew(grey: np.ndarray, prob: torch.Tensor) -> np.ndarray:
    """Draws one frame without anything kept."""
    full = upsample_map(prob, SIZE)
    steps = np.rint(full * 255).astype(np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(steps, COLOUR_MAP), cv2.COLOR_BGR2RGB)
    grey = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    picture = cv2.addWeighted(colours, OPACITY, grey, 1 - OPACITY, 0)
    return draw_level(picture, full, CONTOUR_LEVEL)


def draw_layers(frames: Sequence[np.ndarray], maps: torch.Tensor) -> list[np.ndarray]:
    """Draws frames as the demo does."""
    pictures = []
    for n, grey in enumerate(frames):
        if n % MAP_FRAMES == 0:
            layer = HeatLayer(upsample_map(maps[n // MAP_FRAMES], SIZE), OPACITY)
        pictures.append(layer.over(grey))
    return pictures


def encode(pictures: Sequence[np.ndarray], codec: str, options: dict) -> bytes:
    """Encodes pictures in memory, with one thread."""
    file = io.BytesIO()
    with av.open(file, 'w', format='matroska') as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = *SIZE, 'yuv420p'
        stream.codec_context.thread_count = 1
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format='rgb24')
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def psnr(video: bytes, pictures: Sequence[np.ndarray]) -> float:
    """Compares a video with its pictures, in dB."""
    with av.open(io.BytesIO(video)) as container:
        errors = [
            np.square(
                frame.to_ndarray(format='rgb24').astype(np.float32) - picture
            ).mean()
            for frame, picture in zip(container.decode(video=0), pictures, strict=True)
        ]
    return 10 * np.log10(255**2 / np.mean(errors))


def timed(run: Callable, *args, frames: int) -> tuple[float, object]:
    """Returns milliseconds of CPU a frame, and the result."""
    start = time.process_time()
    result = run(*args)
    return (time.process_time() - start) / frames * 1e3, result


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--frames', type=int, default=100, help='(default: 100)')
    count = parser.parse_args().frames
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    frames = pan(count)
    maps = torch.rand(count // MAP_FRAMES + 1, 1, 10, 10)

    def anew() -> None:
        for n, grey in enumerate(frames):
            draw_anew(grey, maps[n // MAP_FRAMES])

    turns = [
        (
            timed(anew, frames=count)[0],
            timed(draw_layers, frames, maps, frames=count)[0],
        )
        for _ in range(4)
    ]
    before, after = np.min(turns[1:], axis=0)
    print(f'drawing: anew {before:.2f} ms, layers {after:.2f} ms, ', end='')
    print(f'ratio {before / after:.1f}')
    pictures = draw_layers(frames, maps)
    for codec, options in ENCODER_OPTIONS.items():
        for named in ({}, options):
            spent, video = timed(encode, pictures, codec, named, frames=count)
            size, quality = len(video) / count / 1e3, psnr(video, pictures)
            print(f'{codec} {named or "defaults"}: {spent:.2f} ms, ', end='')
            print(f'{size:.2f} kB a frame, {quality:.1f} dB')


if __name__ == '__main__':
    main()
