"""A video with its heat maps laid over it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch

from mmxpl.datasets.video_io import FrameReader, frame_image, open_video
from mmxpl.evaluation.functional import boxes_from_map
from mmxpl.utils import DataError
from mmxpl.visualization.heatmap import overlay_heatmap, upsample_map
from mmxpl.visualization.panels import draw_boxes

from .av_input import AVInput
from .inferencer import XPLInferencer
from .prediction import choose_map
from .smoothing import MapSmoother
from .video_input import WindowReader
from .video_output import VideoOutput, refuse_existing


@dataclass
class OverlayOptions:
    """How a video is drawn.

    Args:
        every (float): seconds between maps; 0 predicts one for every frame.
            Between them the last one stays. Defaults to 0.2.
        smooth (float): time constant, in seconds, of the moving average over
            frames; see :class:`~mmxpl.apis.smoothing.MapSmoother`. Defaults to 0,
            no smoothing.
        localizer (str): 'a', 'b' or 'ens'. Defaults to 'ens'.
        threshold (float, optional): of the boxes; None draws none. Defaults to
            None.
        opacity (float): weight of the map's colours. Defaults to 0.6.
    """

    every: float = 0.2
    smooth: float = 0.0
    localizer: str = 'ens'
    threshold: float | None = None
    opacity: float = 0.6


class OverlaidFrame(NamedTuple):
    """One frame of the result.

    Attributes:
        time (float): seconds after the first frame.
        pts (int): the same in units of the source's picture track.
        picture (np.ndarray): RGB uint8 of the frame's size.
        predicted (bool): whether a map was predicted for this very frame.
    """

    time: float
    pts: int
    picture: np.ndarray
    predicted: bool


def overlaid_frames(
    inferencer: XPLInferencer, source: str, options: OverlayOptions
) -> Iterator[OverlaidFrame]:
    """Decodes, predicts and draws one frame at a time, as they are asked for.

    Args:
        inferencer (XPLInferencer): the model.
        source (str): the video.
        options (OverlayOptions): how to draw.

    Yields:
        OverlaidFrame: Every frame of the video.

    Raises:
        DataError: If the video cannot be read, or has no sound.
    """
    if not 0 <= options.every < float('inf'):
        raise DataError(f'every: must be seconds from 0 on, got {options.every!r}.')
    smoother, due, prob = MapSmoother(options.smooth), 0.0, None
    with (
        FrameReader(source, threaded=True) as frames,
        WindowReader(frames, inferencer.window) as sounds,
    ):
        for time, frame in frames:
            image = frame_image(frame)
            predicted = prob is None or time >= due - 1e-3
            if predicted:
                pair = AVInput(Path(source).stem, image, sounds.around(time), time)
                sample = next(inferencer.stream([pair], return_datasamples=True))
                prob = choose_map(sample, options.localizer)
                if options.every:
                    due = (time + 1e-3) // options.every * options.every + options.every
            shown = smoother(prob, time)
            picture = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
            picture = overlay_heatmap(picture, shown, options.opacity)
            if options.threshold is not None:
                full = torch.from_numpy(upsample_map(shown, image.shape[:2]))
                boxes = boxes_from_map(full, options.threshold).bboxes
                picture = draw_boxes(picture, boxes.numpy())
            yield OverlaidFrame(time, frame.pts, picture, predicted)


def overlay_video(
    inferencer: XPLInferencer,
    source: str,
    target: str | Path,
    options: OverlayOptions | None = None,
    progress: Callable[[float], None] | None = None,
) -> dict[str, int | bool]:
    """Writes a video with its heat maps laid over it and its sound kept.

    Memory does not grow with the length of the video.

    Args:
        inferencer (XPLInferencer): the model.
        source (str): the video.
        target (str | Path): file to write, such as an .mp4; must not exist.
        options (OverlayOptions, optional): how to draw.
        progress (Callable, optional): is told the time of every frame, in seconds.

    Returns:
        dict: ``frames`` written, ``maps`` predicted, and ``sound_copied``: whether
        the sound was copied as it is (True) or encoded anew.

    Raises:
        DataError: If the video cannot be read, has no sound, or if the target
            exists or cannot be written.
    """
    target, options = Path(target), options or OverlayOptions()
    refuse_existing(target)
    frames = maps = 0
    with open_video(source) as container:
        drawn = overlaid_frames(inferencer, source, options)
        first = next(drawn)  # after this there are pictures and sound
        like = container.streams.video[0]
        with VideoOutput(target, source, like, first.picture.shape[:2]) as output:
            item: OverlaidFrame | None = first
            while item is not None:
                output.write(item.picture, item.pts)
                frames, maps = frames + 1, maps + item.predicted
                if progress is not None:
                    progress(item.time)
                item = next(drawn, None)
    return dict(frames=frames, maps=maps, sound_copied=output.copies)


def video_seconds(source: str) -> float | None:
    """Looks up the length of a video.

    Args:
        source (str): the video.

    Returns:
        float | None: Seconds; None if the file does not say.

    Raises:
        DataError: If the file cannot be read.
    """
    with open_video(source) as container:
        return None if container.duration is None else container.duration / 1e6
