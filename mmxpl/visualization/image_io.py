"""From a sample to its frame, and from a picture to a file."""

import os

import cv2
import numpy as np
from mmengine.fileio import put

from mmxpl.datasets.image_io import read_frame
from mmxpl.structures import AVDataSample

from .panel import panel_size


def load_frame(sample: AVDataSample) -> np.ndarray:
    """Read the frame of a sample in the shape the model saw it in.

    It comes from the file at the size at which it will be drawn, and not by way
    of the model's few pixels: the canonical frame is the whole image, so boxes
    and maps lie alike on both.

    Args:
        sample (AVDataSample): A sample with ``img_path`` and ``img_shape``.

    Returns:
        np.ndarray: RGB uint8 of shape (H, W, 3).

    Raises:
        DataError: If the file is missing or is not an image.
    """
    image, _ = read_frame(sample.img_path, panel_size(sample.img_shape))
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def write_picture(picture: np.ndarray, path: str | os.PathLike) -> None:
    """Write a PNG, and the folders above it.

    Args:
        picture (np.ndarray): RGB uint8 of shape (H, W, 3).
        path (str | os.PathLike): Where to.
    """
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    put(cv2.imencode('.png', bgr)[1].tobytes(), path)
