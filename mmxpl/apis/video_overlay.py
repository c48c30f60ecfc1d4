"""Heat maps over a video, smoothed over time, with the sound kept.

A video that cannot be read or has no sound is a DataError, as is a target that exists
or cannot be written.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from mmxpl.datasets.video_io import FrameReader, frame_image, open_video
from mmxpl.evaluation.functional import boxes_from_map
from mmxpl.visualization.drawing import HeatLayer, draw_boxes, upsample_map

from .av_input import AVInput, WindowReader, mark_due
from .inference import choose_map
from .inferencer import XPLInferencer
from .video_output import VideoOutput, refuse_existing


class MapSmoother:
    """Exponential moving average of maps, independent of the frame rate.

    After ``dt`` seconds the previous average has the weight ``exp(-dt / tau)``.

    Args:
        tau (float): Time constant in seconds; 0 does not smooth.

    Raises:
        ValueError: If ``tau`` is negative or not finite.
    """

    def __init__(self, tau: float) -> None:
        if not 0 <= tau < math.inf:
            raise ValueError(f'tau must be seconds from 0 on, got {tau!r}.')
        self.tau = tau
        self._mean: Tensor | None = None
        self._time = 0.0

    def __call__(self, prob: Tensor, time: float) -> Tensor:
        """Returns the average with a map of any shape.

        ``time`` is that of the map in seconds, not before that of the last call.
        """
        if self._mean is None or self.tau == 0:
            self._mean = prob
        else:
            kept = math.exp(-(time - self._time) / self.tau)
            self._mean = kept * self._mean + (1 - kept) * prob
        self._time = time
        return self._mean


@dataclass
class OverlayOptions:
    """Settings of a video overlay.

    Args:
        every (float): Seconds between predictions; 0 predicts every frame. A map
            stays until the next one.
        smooth (float): Time constant of :class:`MapSmoother` in seconds; 0 does not
            smooth.
        localizer (str): 'a', 'b' or 'ens' for the ensemble.
        threshold (float, optional): Probability from which on boxes are drawn; None
            draws none.
        opacity (float): Weight of the map's colours, in [0, 1].
    """

    every: float = 0.2
    smooth: float = 0.0
    localizer: str = 'ens'
    threshold: float | None = None
    opacity: float = 0.6


class OverlaidFrame(NamedTuple):
    """One drawn frame."""

    time: float  # seconds after the first frame
    pts: int  # presentation time in units of the source's video stream
    picture: np.ndarray  # RGB uint8 (H, W, 3) of the frame's size
    predicted: bool  # whether a map was predicted for this frame


def overlaid_frames(
    inferencer: XPLInferencer, source: str, options: OverlayOptions
) -> Iterator[OverlaidFrame]:
    """Decodes, predicts and draws every frame of a video when it is needed."""
    smoother, size = MapSmoother(options.smooth), None
    with (
        FrameReader(source, threaded=True) as frames,
        WindowReader(frames, inferencer.window) as sounds,
    ):
        for time, frame, due in mark_due(frames, options.every):
            image = frame_image(frame)
            if due:
                pair = AVInput(Path(source).stem, image, sounds.window(time), time)
                sample = next(inferencer.stream([pair], return_datasamples=True))
                prob = choose_map(sample, options.localizer)
            # a stream may change its size
            if due or options.smooth or image.shape[:2] != size:
                size = image.shape[:2]
                full = upsample_map(smoother(prob, time), size)
                layer = HeatLayer(full, options.opacity)
                if options.threshold is not None:
                    regions = boxes_from_map(torch.from_numpy(full), options.threshold)
                    boxes = regions.bboxes.numpy()
            picture = layer.over(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
            if options.threshold is not None:
                picture = draw_boxes(picture, boxes)
            yield OverlaidFrame(time, frame.pts, picture, due)


def overlay_video(
    inferencer: XPLInferencer,
    source: str,
    target: str | Path,
    options: OverlayOptions | None = None,
    progress: Callable[[float], None] | None = None,
) -> dict[str, int | bool]:
    """Writes a video with its heat maps and its sound, in constant memory.

    Args:
        inferencer (XPLInferencer): The model.
        source (str): Video file.
        target (str | Path): New file, such as an .mp4.
        options (OverlayOptions, optional): Settings.
        progress (Callable, optional): Called with the time of every frame in seconds.

    Returns:
        dict: ``frames`` written, ``maps`` predicted, and ``sound_copied``: True if the
        sound was copied, False if it was encoded again.
    """
    target, options = Path(target), options or OverlayOptions()
    refuse_existing(target)
    frames = maps = 0
    with open_video(source) as container:
        drawn = overlaid_frames(inferencer, source, options)
        first = next(drawn)  # after this there are pictures and sound
        like = container.streams.video[0]
        with VideoOutput(target, source, like, first.picture.shape[:2]) as output:
            for item in chain([first], drawn):
                output.write(item.picture, item.pts)
                frames, maps = frames + 1, maps + item.predicted
                if progress is not None:
                    progress(item.time)
    return dict(frames=frames, maps=maps, sound_copied=output.copies)


def video_seconds(source: str) -> float | None:
    """Returns the length of a video in seconds; None if the file does not say."""
    with open_video(source) as container:
        return None if container.duration is None else container.duration / 1e6
