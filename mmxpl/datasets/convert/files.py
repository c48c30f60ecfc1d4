"""Writes files that are there as a whole or not at all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import soundfile

from mmxpl.utils import DataError
from mmxpl.utils.files import atomic_path


def write_image(path: Path, image: np.ndarray, quality: int = 95) -> None:
    """Writes a JPEG.

    Args:
        path (Path): where to.
        image (np.ndarray): uint8 of shape (H, W, 3), BGR.
        quality (int): of the JPEG, 1 to 100. Defaults to 95.

    Raises:
        DataError: If it cannot be written.
    """
    _, data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    _write(path, lambda temporary: temporary.write_bytes(data.tobytes()))


def write_wav(path: Path, wave: np.ndarray, sample_rate: int) -> None:
    """Writes a 16-bit WAV file.

    Args:
        path (Path): where to.
        wave (np.ndarray): int16 of shape (T,), or floats in [-1, 1].
        sample_rate (int): samples per second.

    Raises:
        DataError: If it cannot be written.
    """
    _write(
        path,
        lambda temporary: soundfile.write(
            temporary, wave, sample_rate, subtype='PCM_16', format='WAV'
        ),
    )


def copy_bytes(path: Path, source: Path) -> None:
    """Copies a file.

    Args:
        path (Path): where to.
        source (Path): the file.

    Raises:
        DataError: If it cannot be read or written.
    """
    _write(path, lambda temporary: temporary.write_bytes(source.read_bytes()))


def write_text(path: Path, text: str) -> None:
    """Writes a text file, in UTF-8.

    Args:
        path (Path): where to.
        text (str): what.

    Raises:
        DataError: If it cannot be written.
    """
    _write(path, lambda temporary: temporary.write_text(text, encoding='utf-8'))


def _write(path: Path, write: Callable[[Path], object]) -> None:
    """Writes a file such that nobody ever finds half of it."""
    with _said_clearly(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path, durable=False) as draft:
            write(draft)


@contextmanager
def _said_clearly(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, soundfile.SoundFileError) as error:
        raise DataError(
            f'{path}: could not be written ({error}). Is the disk full, or the folder '
            'protected?'
        ) from error
