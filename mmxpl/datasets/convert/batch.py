"""Resumable conversion of many clips, and atomic writing of their files."""

import csv
import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import soundfile
from rich.progress import MofNCompleteColumn, Progress

from mmxpl.utils import DataError
from mmxpl.utils.files import write_atomically
from mmxpl.utils.parallel import map_in_threads

SETTINGS, FAILED = 'convert.json', 'failed.csv'


@dataclass
class BatchResult:
    """Result of a conversion.

    Args:
        done (list[str]): Ids that are complete now, in the order given.
        already (int): How many of them were complete before.
        failed (dict[str, str]): Reason by id of the others.
    """

    done: list[str] = field(default_factory=list)
    already: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Summarizes the result in a line."""
        return (
            f'{len(self.done) + len(self.failed)} clips: {len(self.done)} complete '
            f'({self.already} of them from an earlier run), {len(self.failed)} failed'
        )


def convert_batch(
    out: Path,
    ids: Sequence[str],
    is_complete: Callable[[str], bool],
    convert: Callable[[str], None],
    settings: Mapping,
    workers: int = 1,
) -> BatchResult:
    """Converts clips into a folder and lists those that cannot be converted.

    Complete clips are skipped, so an interrupted run continues where it stopped.
    ``failed.csv`` holds the ids and reasons of the last run, ``convert.json`` the
    settings, which must stay the same.

    Args:
        out (Path): The folder.
        ids (Sequence[str]): The clips.
        is_complete (Callable): Tells whether all files of a clip are there.
        convert (Callable): Writes the files of a clip, each atomically
            (:func:`write_bytes`); raises a DataError if it cannot be converted.
        settings (Mapping): Settings that decide the files, as plain JSON values.
        workers (int): Number of threads.

    Returns:
        BatchResult: Converted and failed clips.

    Raises:
        DataError: If the folder was converted with other settings.
    """
    _check_settings(out / SETTINGS, dict(settings))
    open_ids = [i for i in ids if not is_complete(i)]
    result = BatchResult(already=len(ids) - len(open_ids))

    def attempt(sample_id: str) -> tuple[str, str]:
        try:
            convert(sample_id)
        except DataError as error:
            return sample_id, str(error)
        return sample_id, ''

    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, disable=not sys.stderr.isatty()) as progress:
        row = progress.add_task(str(out), total=len(ids), completed=result.already)
        for sample_id, reason in map_in_threads(attempt, open_ids, workers):
            progress.advance(row)
            if reason:
                result.failed[sample_id] = reason
    result.done = [i for i in ids if i not in result.failed]
    table = io.StringIO()
    csv.writer(table, lineterminator='\n').writerows(result.failed.items())
    write_text(out / FAILED, table.getvalue())
    return result


def _check_settings(path: Path, settings: dict) -> None:
    """Writes the settings, or refuses to change those that are there."""
    text = json.dumps(settings, indent=2, sort_keys=True) + '\n'
    try:
        found = path.read_text(encoding='utf-8', errors='replace')
    except FileNotFoundError:
        write_text(path, text)
        return
    if found != text:
        raise DataError(
            f'{path}: the folder was converted with other settings ({found.strip()}). '
            'Use them again, choose another folder or remove this one.'
        )


def write_image(path: Path, image: np.ndarray, quality: int = 95) -> None:
    """Writes a JPEG file.

    Args:
        path (Path): File to write.
        image (np.ndarray): uint8 of shape (H, W, 3), BGR.
        quality (int): JPEG quality, 1 to 100.

    Raises:
        DataError: If it cannot be written.
    """
    _, data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    write_bytes(path, data.tobytes())


def write_wav(path: Path, wave: np.ndarray, sample_rate: int) -> None:
    """Writes a 16-bit WAV file.

    Args:
        path (Path): File to write.
        wave (np.ndarray): int16 of shape (T,), or floats in [-1, 1].
        sample_rate (int): Samples per second.

    Raises:
        DataError: If it cannot be written.
    """
    content = io.BytesIO()
    soundfile.write(content, wave, sample_rate, subtype='PCM_16', format='WAV')
    write_bytes(path, content.getvalue())


def copy_bytes(path: Path, source: Path) -> None:
    """Copies a file.

    Args:
        path (Path): File to write.
        source (Path): File to read.

    Raises:
        DataError: If it cannot be read or written.
    """
    try:
        content = source.read_bytes()
    except OSError as error:
        raise DataError(
            f'{source}: the file cannot be read ({error.strerror}).'
        ) from error
    write_bytes(path, content)


def write_text(path: Path, text: str) -> None:
    """Writes a text file in UTF-8.

    Args:
        path (Path): File to write.
        text (str): Content.

    Raises:
        DataError: If it cannot be written.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file that is there completely or not at all.

    Args:
        path (Path): File to write; its folder is made if needed.
        content (bytes): Content.

    Raises:
        DataError: If it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # thousands of small files: do not wait for the disk at each
        write_atomically(path, content, durable=False)
    except OSError as error:
        raise DataError(
            f'{path}: could not be written ({error}). Is the disk full, or the folder '
            'protected?'
        ) from error
