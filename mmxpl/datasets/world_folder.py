"""Writing made clips to a folder: all of it or nothing, once, with any workers.

A folder holds ``frames/ID.jpg``, ``audio/ID.wav`` (16-bit mono),
``annotations.json`` (everything), ``vggss.json`` (boxes in the layout of VGG-SS),
``train.txt``, ``val.txt``, ``test.txt`` (ids) and ``world.json`` (the settings it
was made with).
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import soundfile
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from mmxpl.utils import DataError


class MadeClip(Protocol):
    """What a maker returns.

    Args:
        image (np.ndarray): uint8 BGR of shape (H, W, 3).
        audio (np.ndarray): int16 of shape (samples,), mono.
        info (dict): Its entry of ``data_list``; ``sample_id`` is
            :func:`clip_id`'s.
    """

    image: np.ndarray
    audio: np.ndarray
    info: dict


#: Makes a clip from its split and its index there, and from nothing else.
Maker = Callable[[str, int], MadeClip]


def clip_id(split: str, index: int) -> str:
    """Stable id of a clip, e.g. 'train_00012'."""
    return f'{split}_{index:05d}'


def write_folder(
    root: str | Path,
    maker: Maker,
    counts: dict[str, int],
    settings: dict[str, Any],
    metainfo: dict[str, Any],
    *,
    sample_rate: int,
    quality: int = 92,
    workers: int = 1,
    progress: bool = True,
) -> bool:
    """Write a folder of made clips, unless it is there already.

    The folder appears in one step when everything is written; a run that is cut
    short leaves nothing under ``root``.

    Args:
        root (str | Path): Folder to write.
        maker (Maker): Picklable; it goes to each worker once.
        counts (dict[str, int]): Split -> number of clips.
        settings (dict): What decides the files, as plain JSON values. The folder
            counts as written if it holds the same settings.
        metainfo (dict): For ``annotations.json``, with ``classes``.
        sample_rate (int): Of the audio, in Hz.
        quality (int): JPEG quality. Defaults to 92.
        workers (int): Processes; the files do not depend on it. Defaults to 1.
        progress (bool): Show a progress bar. Defaults to True.

    Returns:
        bool: True if the folder was written, False if it was there.

    Raises:
        DataError: ``root`` holds something else, or not all of this.
    """
    root = Path(root).absolute()
    if _is_written(root, counts, settings):
        return False
    root.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f'.{root.name}.', dir=root.parent))
    try:
        (work / 'frames').mkdir()
        (work / 'audio').mkdir()
        jobs = [(split, i) for split, count in counts.items() for i in range(count)]
        infos: dict[str, list[dict]] = {split: [] for split in counts}
        with _bar(root.name, len(jobs), progress) as advance:
            state = _Work(work, maker, sample_rate, quality)
            for split, info in _map_in_order(state, jobs, workers):
                infos[split].append(info)
                advance()
        _write_lists(work, infos, settings, metainfo)
        # mkdtemp hides its folder from everyone else; a data folder is no secret.
        work.chmod(0o755)
        if root.is_dir():
            root.rmdir()
        os.rename(work, root)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return True


class _Work:
    """Makes and writes one clip after the other."""

    def __init__(self, folder: Path, maker: Maker, sample_rate: int, quality: int):
        self.folder = folder
        self.maker = maker
        self.sample_rate = sample_rate
        self.quality = [cv2.IMWRITE_JPEG_QUALITY, quality]

    def __call__(self, job: tuple[str, int]) -> tuple[str, dict]:
        """Write a clip and return its split and its entry of ``data_list``."""
        split, index = job
        clip = self.maker(split, index)
        path = self.folder / clip.info['img_path']
        if not cv2.imwrite(str(path), clip.image, self.quality):
            raise DataError(f'{path}: could not be written; is the disk full?')
        soundfile.write(
            self.folder / clip.info['audio_path'],
            clip.audio,
            self.sample_rate,
            subtype='PCM_16',
        )
        return split, clip.info


def _map_in_order(work: _Work, jobs: list, workers: int) -> Iterator[tuple[str, dict]]:
    """Yield results in the order of the jobs, from this or other processes."""
    if workers <= 1:
        yield from map(work, jobs)
        return
    # 'spawn' works where threads are already running, and on every system.
    context = multiprocessing.get_context('spawn')
    with context.Pool(workers, initializer=_start, initargs=(work,)) as pool:
        yield from pool.imap(_run, jobs, chunksize=8)


_work: _Work | None = None


def _start(work: _Work) -> None:
    global _work
    cv2.setNumThreads(1)
    _work = work


def _run(job: tuple[str, int]) -> tuple[str, dict]:
    return _work(job)


@contextmanager
def _bar(title: str, total: int, shown: bool) -> Iterator[Callable[[], None]]:
    """Progress bar; gives the function that moves it on by one."""
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, disable=not shown) as progress:
        row = progress.add_task(title, total=total)
        yield lambda: progress.advance(row)


def _is_written(root: Path, counts: dict[str, int], settings: dict) -> bool:
    """Whether this very folder is there; raise if something else is."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    remedy = 'choose another folder or remove it first'
    try:
        found = json.loads((root / 'world.json').read_text())['settings']
        found = dict(found)
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f'{root}: exists and holds no made clips; {remedy}') from None
    wanted = json.loads(json.dumps(settings))
    if found != wanted:
        names = [k for k in {**wanted, **found} if found.get(k) != wanted.get(k)]
        change = ', '.join(
            f'{k} {found.get(k)} (asked: {wanted.get(k)})' for k in names
        )
        raise DataError(f'{root}: holds other clips: {change}; {remedy}')
    missing = [name for name in _expected(counts) if not (root / name).is_file()]
    if missing:
        raise DataError(
            f'{root}: {len(missing)} files are missing, such as {missing[0]}; {remedy}'
        )
    return True


def _expected(counts: dict[str, int]) -> list[str]:
    names = ['annotations.json', 'vggss.json', *(f'{split}.txt' for split in counts)]
    ids = [clip_id(split, i) for split, count in counts.items() for i in range(count)]
    return names + [n for i in ids for n in (f'frames/{i}.jpg', f'audio/{i}.wav')]


def _write_lists(work: Path, infos, settings, metainfo) -> None:
    entries = [info for split in infos.values() for info in split]
    boxes = [
        {'file': e['sample_id'], 'class': e['category'], 'bbox': e['bboxes']}
        for e in entries
        if e['bboxes']
    ]
    annotations = dict(metainfo=metainfo, data_list=entries)
    for name, value in (('annotations', annotations), ('vggss', boxes)):
        text = json.dumps(value, separators=(',', ':'))
        (work / f'{name}.json').write_text(text + '\n')
    for split, part in infos.items():
        ids = ''.join(info['sample_id'] + '\n' for info in part)
        (work / f'{split}.txt').write_text(ids)
    text = json.dumps(dict(settings=settings), indent=2)
    (work / 'world.json').write_text(text + '\n')
