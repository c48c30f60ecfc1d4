"""Predictions, pictures and tables of the web demo, without Gradio."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import soundfile
import torch
from torch import Tensor

from mmxpl.apis import XPLInferencer
from mmxpl.apis.av_input import AVInput, WindowReader, as_pair
from mmxpl.apis.inference import describe_map, without_map
from mmxpl.apis.video_overlay import video_seconds
from mmxpl.datasets.audio_io import sound_header
from mmxpl.datasets.image_io import check_image
from mmxpl.datasets.synthetic import WorldConfig, make_clip
from mmxpl.datasets.vggss import AUDIO_SUFFIXES, FRAME_SUFFIXES
from mmxpl.datasets.video_io import VIDEO_SUFFIXES, FrameReader
from mmxpl.utils import DataError
from mmxpl.visualization.drawing import (
    draw_boxes,
    map_title,
    overlay_heatmap,
    panel_size,
    resize,
)
from mmxpl.visualization.sample_sheets import draw_spectrogram

SUFFIXES = dict(image=FRAME_SUFFIXES, sound=AUDIO_SUFFIXES, clip=VIDEO_SUFFIXES)
MAX_BYTES = 50_000_000
MAX_SECONDS = 120.0

COLUMNS = ('model', 'confidence', 'box', 'score', 'x1', 'y1', 'x2', 'y2')


@dataclass
class Scene:
    """One frame and what was predicted for it.

    Args:
        frame (np.ndarray): RGB uint8 (H, W, 3), resized for display.
        size (tuple[int, int]): Height and width of the original frame in pixels.
        maps (dict[str, Tensor]): (1, h, w) in [0, 1] by localizer, 'ens' last.
        spectrograms (dict[str, Tensor]): (1, F, L) by front end.
        time (float, optional): Seconds after the clip's first frame.
    """

    frame: np.ndarray
    size: tuple[int, int]
    maps: dict[str, Tensor]
    spectrograms: dict[str, Tensor]
    time: float | None = None


def check_upload(path: str | None, kind: str) -> str:
    """Checks type, size and length of an upload before it is decoded.

    Args:
        path (str, optional): The file; None if nothing was uploaded.
        kind (str): 'image', 'sound' or 'clip'.

    Returns:
        str: The path.

    Raises:
        DataError: If there is no file, or it is of another type, too large or too
            long.
    """
    if not path:
        raise DataError(f'No {kind} is given. Upload one.')
    file = Path(path)
    if file.suffix.lower() not in SUFFIXES[kind]:
        raise DataError(
            f'{file.name}: is no {kind} of the types {", ".join(SUFFIXES[kind])}.'
        )
    size = file.stat().st_size
    if size > MAX_BYTES:
        raise DataError(
            f'{file.name}: has {size / 1e6:.0f} MB, more than {MAX_BYTES / 1e6:.0f}.'
        )
    if kind == 'image':
        check_image(path)
    elif kind == 'sound':
        _check_seconds(file, sound_header(path)[1])
    else:
        _check_container(file)
        _check_seconds(file, video_seconds(path))
    return path


def localize_pair(inferencer: XPLInferencer, image: str, sound: str) -> Scene:
    """Predicts an uploaded image and sound.

    Args:
        inferencer (XPLInferencer): The model.
        image (str): Image file.
        sound (str): Sound file.

    Returns:
        Scene: The predictions.

    Raises:
        DataError: If a file cannot be used.
    """
    pair = as_pair(check_upload(image, 'image'), check_upload(sound, 'sound'))
    return _localize(inferencer, pair)


def localize_clip(inferencer: XPLInferencer, clip: str, share: float) -> Scene:
    """Predicts one moment of an uploaded clip.

    Args:
        inferencer (XPLInferencer): The model.
        clip (str): Video file.
        share (float): The moment, in [0, 1] from the first to the last frame.

    Returns:
        Scene: The predictions.

    Raises:
        DataError: If the file cannot be used.
    """
    with FrameReader(check_upload(clip, 'clip')) as frames:
        moment = min(max(float(share), 0.0), 1.0) * frames.last_time()
        time, frame = frames.read(moment)
        with WindowReader(frames, inferencer.window) as sounds:
            sound = sounds.window(time)
    return _localize(inferencer, AVInput(Path(clip).stem, frame, sound, time))


def draw_scene(scene: Scene, threshold: float) -> tuple[list[tuple], list[list]]:
    """Draws maps and spectrograms, and lists the boxes.

    Args:
        scene (Scene): The predictions.
        threshold (float): Probability from which on a pixel belongs to a box.

    Returns:
        tuple[list[tuple], list[list]]: Pictures (RGB uint8) with captions: frame,
        maps, spectrograms; and rows of :data:`COLUMNS`, one for a model without a
        box. Coordinates are pixels of the original frame.
    """
    at = '' if scene.time is None else f' at {scene.time:.2f} s'
    pictures, rows = [(scene.frame, f'Frame{at}')], []
    for name, prob in scene.maps.items():
        found = describe_map(prob, scene.size, threshold)
        picture = overlay_heatmap(scene.frame, prob)
        picture = draw_boxes(picture, np.array(found['bboxes']))
        confidence = round(found['confidence'], 3)
        pictures.append((picture, f'{map_title(name)}, confidence {confidence:.2f}'))
        boxes = zip(found['scores'], found['bboxes_pixels'], strict=True)
        listed = [
            [map_title(name), confidence, n, round(score, 3), *box]
            for n, (score, box) in enumerate(boxes, 1)
        ]
        rows += listed or [[map_title(name), confidence, 'none', *[''] * 5]]
    for name, values in scene.spectrograms.items():
        picture = resize(draw_spectrogram(values), scene.frame.shape[:2])
        pictures.append((picture, f'Spectrogram: {name}'))
    return pictures, rows


def describe_scene(scene: Scene, threshold: float) -> list[dict]:
    """Returns the predictions as plain values, for scripts.

    Args:
        scene (Scene): The predictions.
        threshold (float): Probability from which on a pixel belongs to a box.

    Returns:
        list[dict]: For each model ``model``, and the keys of
        :func:`mmxpl.apis.inference.describe_map` but ``map``.
    """
    return [
        {'model': name, **without_map(describe_map(prob, scene.size, threshold))}
        for name, prob in scene.maps.items()
    ]


@torch.no_grad()
def _localize(inferencer: XPLInferencer, pair: AVInput) -> Scene:
    """Predicts a pair and keeps its spectrograms."""
    ((_, batch),) = inferencer.preprocess([pair])
    prepared = inferencer.model.data_preprocessor.prepare(batch)
    (sample,) = inferencer.forward(prepared)
    names = sorted(sample.pred_map.keys(), key=lambda name: (name == 'ens', name))
    picture = pair.picture()
    return Scene(
        resize(picture, panel_size(picture.shape[:2])),
        picture.shape[:2],
        {name: sample.pred_map.get(name).cpu() for name in names},
        {
            k: v[0].cpu()
            for k, v in prepared['inputs'].items()
            if v.dim() == 4 and k != 'img'
        },
        pair.time,
    )


def _check_container(file: Path) -> None:
    """Refuses files that are no video, whatever their suffix.

    FFmpeg goes by the content; a playlist would make it open other files.
    """
    with open(file, 'rb') as stream:
        head = stream.read(12)
    boxes = (b'ftyp', b'moov', b'mdat', b'wide', b'free', b'skip')
    is_mp4 = head[4:8] in boxes
    is_matroska = head[:4] == b'\x1a\x45\xdf\xa3'
    is_avi = head[:4] == b'RIFF' and head[8:12] == b'AVI '
    if not (is_mp4 or is_matroska or is_avi):
        raise DataError(f'{file.name}: is no MP4, MOV, Matroska, WebM or AVI.')


def _check_seconds(file: Path, seconds: float | None) -> None:
    """Refuses files that are too long or of unknown length."""
    if seconds is None or seconds > MAX_SECONDS:
        length = 'an unknown length' if seconds is None else f'{seconds:.0f} s'
        raise DataError(f'{file.name}: has {length}, at most {MAX_SECONDS:.0f} s pass.')


def write_examples(folder: Path, count: int = 3, size: int = 256) -> list[list[str]]:
    """Writes clips of the synthetic world, as images and sounds.

    Args:
        folder (Path): Folder to write to.
        count (int): Number of clips.
        size (int): Side of the frames in pixels.

    Returns:
        list[list[str]]: Image file and sound file of each clip.
    """
    config, examples = WorldConfig(seed=7, size=size), []
    for n in range(count):
        clip = make_clip(config, 'test', n)
        image, sound = folder / f'example_{n}.jpg', folder / f'example_{n}.wav'
        cv2.imwrite(str(image), clip.image)
        soundfile.write(sound, clip.audio, config.sample_rate, subtype='PCM_16')
        examples.append([str(image), str(sound)])
    return examples
