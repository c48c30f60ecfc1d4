"""Reads and writes when the frames of clips are shown, for layouts without a field."""

import csv
import io
import math
import os
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from mmxpl.utils import DataError

from .convert.files import write_text

FRAME_TIMES = 'frame_times.csv'
_HEADER = ['sample_id', 'frame_time', 'video', 'note']


class FrameTime(NamedTuple):
    """When the frame of a clip is shown.

    Attributes:
        seconds (float): from the first sample of the sound.
        video (str): file that frame and sound were taken out of.
        note (str): how sound and picture lie to each other in it; '' if they begin
            and end together.
    """

    seconds: float
    video: str = ''
    note: str = ''


def is_seconds(value: Any) -> bool:
    """Whether a value is a time within years, in seconds.

    Args:
        value (Any): the value.

    Returns:
        bool: True for finite numbers of a sensible size.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and abs(value) < 1e8


def read_frame_times(path: str | Path) -> dict[str, FrameTime]:
    """Reads a file of frame times.

    Args:
        path (str | Path): csv file with the columns ``sample_id``, ``frame_time``,
            ``video`` and ``note``; of an id that stands there several times the last
            line counts.

    Returns:
        dict[str, FrameTime]: By id; empty if there is no file.

    Raises:
        DataError: If the file has another form.
    """
    try:
        rows = list(csv.reader(Path(path).read_text(encoding='utf-8').splitlines()))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f'{path}: the frame times cannot be read ({error}).') from error
    if not rows:  # a run that was interrupted at once
        return {}
    if rows[0] != _HEADER:
        raise DataError(f'{path} must begin with the row {",".join(_HEADER)}.')
    times = {}
    for number, row in enumerate(rows[1:], 2):
        try:
            sample_id, seconds, video, note = row
            time = float(seconds)
        except ValueError:
            time = math.nan
        if not is_seconds(time):
            raise DataError(
                f'{path}, row {number}: must be an id, seconds, a video and a note, '
                f'got {row}. Remove the row and extract that clip again.'
            )
        times[sample_id] = FrameTime(time, video, note)
    return times


class FrameTimes:
    """Frame times of a folder that is being written, each kept at once.

    Args:
        path (Path): the file; what it holds is kept.

    Raises:
        DataError: If it has another form.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        if path.is_file():
            _drop_half_a_line(path)
        self.known = read_frame_times(path)

    def add(self, sample_id: str, time: FrameTime) -> None:
        """Adds a clip, which is on the disk afterwards.

        Args:
            sample_id (str): its id.
            time (FrameTime): when its frame is shown.

        Raises:
            DataError: If the file cannot be written.
        """
        with self._lock:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with open(self.path, 'a', encoding='utf-8') as file:
                    if not file.tell():
                        file.write(_line(_HEADER))
                    file.write(_line([sample_id, f'{time.seconds:.6f}', *time[1:]]))
            except OSError as error:
                raise DataError(
                    f'{self.path}: could not be written ({error.strerror}).'
                ) from error
            self.known[sample_id] = time

    def tidy(self) -> None:
        """Writes the file anew: each clip once, in the order of the ids.

        Raises:
            DataError: If it cannot be written.
        """
        rows = sorted(
            (i, f'{time.seconds:.6f}', *time[1:]) for i, time in self.known.items()
        )
        write_text(self.path, ''.join(map(_line, (_HEADER, *rows))))


def _line(fields: Iterable[str]) -> str:
    """Writes a row."""
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerow(fields)
    return text.getvalue()


def _drop_half_a_line(path: Path) -> None:
    """Cuts off what an interrupted run had begun to write."""
    data = path.read_bytes()
    if not data.endswith(b'\n'):
        os.truncate(path, data.rfind(b'\n') + 1)
