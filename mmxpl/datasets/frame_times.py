"""Times of the frames within their sounds: the file ``frame_times.csv``.

A file that is malformed or cannot be written is a DataError that names it.
"""

import csv
import io
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from mmxpl.utils import DataError
from mmxpl.utils.files import write_atomically

FRAME_TIMES = 'frame_times.csv'
_HEADER = ['sample_id', 'frame_time', 'video', 'note', 'stamp']


class FrameTime(NamedTuple):
    """Time of the frame of a clip."""

    seconds: float  # from the first sample of the sound
    video: str = ''  # file that frame and sound were extracted from
    # offset of sound and picture in that file; '' if they begin and end together
    note: str = ''
    # size in bytes and modification time in ns of that file; '' if unknown
    stamp: str = ''


def is_seconds(value: Any) -> bool:
    """Tells whether a value is a finite number below 1e8."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and abs(value) < 1e8


def read_frame_times(path: str | Path) -> dict[str, FrameTime]:
    """Reads the times of a file by id; there are none if there is no file.

    It is a csv file with the columns ``sample_id``, ``frame_time``, ``video``, ``note``
    and ``stamp``, which may be missing. The last line of an id counts.
    """
    try:
        rows = list(csv.reader(Path(path).read_text(encoding='utf-8').splitlines()))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f'{path}: the frame times cannot be read ({error}).') from error
    if not rows:  # of a run that was interrupted at once
        return {}
    if rows[0] not in (_HEADER, _HEADER[:-1]):
        raise DataError(f'{path} must begin with the row {",".join(_HEADER)}.')
    times = {}
    for number, row in enumerate(rows[1:], 2):
        try:
            row += [''] * (len(row) == len(_HEADER) - 1)
            sample_id, seconds, video, note, stamp = row
            time = float(seconds)
        except ValueError:
            time = math.nan
        if not is_seconds(time):
            raise DataError(
                f'{path}, row {number}: must be an id, seconds, a video and a note, '
                f'got {row}. Remove the row and extract that clip again.'
            )
        times[sample_id] = FrameTime(time, video, note, stamp)
    return times


class FrameTimes:
    """File of frame times to which clips are added.

    Args:
        path (Path): The file; its content is kept.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        if path.is_file():
            data = path.read_bytes()
            if not data.endswith(b'\n'):  # half a line of an interrupted run
                os.truncate(path, data.rfind(b'\n') + 1)
        self.known = read_frame_times(path)

    def add(self, sample_id: str, time: FrameTime) -> None:
        """Appends the time of a clip to the file."""
        with self._lock, self._writing():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, 'a', encoding='utf-8') as file:
                if not file.tell():
                    file.write(_line(_HEADER))
                file.write(_line([sample_id, f'{time.seconds:.6f}', *time[1:]]))
            self.known[sample_id] = time

    def tidy(self) -> None:
        """Rewrites the file with each clip once, sorted by id."""
        rows = sorted(
            (i, f'{time.seconds:.6f}', *time[1:]) for i, time in self.known.items()
        )
        with self._writing():
            write_atomically(self.path, ''.join(map(_line, (_HEADER, *rows))).encode())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DataError(
                f'{self.path}: could not be written ({error.strerror}).'
            ) from error


def _line(fields: Iterable[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerow(fields)
    return text.getvalue()
