"""Writing made clips to a folder: all of it or nothing, once, with any workers.

A folder holds ``frames/ID.jpg``, ``audio/ID.wav`` (16-bit mono),
``annotations.json`` (everything), ``vggss.json`` (boxes in the layout of VGG-SS),
``train.txt``, ``val.txt``, ``test.txt`` (ids; with groups also
``SPLIT_GROUP.txt``) and ``world.json`` (the settings it was made with).
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
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

#: Name -> whether an entry of ``data_list`` belongs to the group.
Groups = Mapping[str, Callable[[dict], bool]]


@dataclass(frozen=True)
class Wording:
    """How refusals speak of a folder.

    Args:
        option (str): Command-line option that names the folder. Defaults to none.
        made (str): What the folder should hold.
        other (str): What it holds if it was made with other settings.
        files (str): What it lacks if it is incomplete.
    """

    option: str = ''
    made: str = 'made clips'
    other: str = 'other clips'
    files: str = 'files'


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
    groups: Groups | None = None,
    about: dict[str, Any] | None = None,
    wording: Wording | None = None,
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
        groups (Groups, optional): Each adds an id list ``SPLIT_GROUP.txt`` for
            every split; follows from ``settings`` like everything that is written.
        about (dict, optional): For ``world.json``, beside ``settings``.
        wording (Wording, optional): For the messages of errors.
        workers (int): Processes; the files do not depend on it. Defaults to 1.
        progress (bool): Show a progress bar. Defaults to True.

    Returns:
        bool: True if the folder was written, False if it was there.

    Raises:
        DataError: ``root`` holds something else, or not all of this.
    """
    root = Path(root).absolute()
    groups = groups or {}
    expected = _expected(counts, groups)
    if _is_written(root, expected, settings, wording or Wording()):
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
        _write_annotations(work, infos, metainfo)
        _write_ids(work, infos, groups)
        world = dict(settings=settings, **(about or {}))
        (work / 'world.json').write_text(json.dumps(world, indent=2) + '\n')
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


def _is_written(
    root: Path, expected: list[str], settings: dict, wording: Wording
) -> bool:
    """Whether this very folder is there; raise if something else is."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    where = f'{wording.option} {root}'.lstrip()
    remedy = f'choose another {wording.option or "folder"} or remove it first'
    try:
        found = json.loads((root / 'world.json').read_text())['settings']
        found = dict(found)
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(
            f'{where}: exists and holds no {wording.made}; {remedy}'
        ) from None
    wanted = json.loads(json.dumps(settings))
    if found != wanted:
        names = [k for k in {**wanted, **found} if found.get(k) != wanted.get(k)]
        change = ', '.join(
            f'{k} {found.get(k)} (asked: {wanted.get(k)})' for k in names
        )
        raise DataError(f'{where}: holds {wording.other}: {change}; {remedy}')
    missing = [name for name in expected if not (root / name).is_file()]
    if missing:
        raise DataError(
            f'{where}: {len(missing)} {wording.files} are missing, such as '
            f'{missing[0]}; {remedy}'
        )
    return True


def _expected(counts: dict[str, int], groups: Groups) -> list[str]:
    names = ['annotations.json', 'vggss.json', *(f'{split}.txt' for split in counts)]
    names += [f'{split}_{group}.txt' for split in counts for group in groups]
    ids = [clip_id(split, i) for split, count in counts.items() for i in range(count)]
    return names + [n for i in ids for n in (f'frames/{i}.jpg', f'audio/{i}.wav')]


def _write_annotations(work: Path, infos: dict[str, list[dict]], metainfo) -> None:
    entries = [info for part in infos.values() for info in part]
    boxes = [
        {'file': e['sample_id'], 'class': e['category'], 'bbox': e['bboxes']}
        for e in entries
        if e['bboxes']
    ]
    annotations = dict(metainfo=metainfo, data_list=entries)
    for name, value in (('annotations', annotations), ('vggss', boxes)):
        text = json.dumps(value, separators=(',', ':'))
        (work / f'{name}.json').write_text(text + '\n')


def _write_ids(work: Path, infos: dict[str, list[dict]], groups: Groups) -> None:
    lists = dict(infos)
    for split, part in infos.items():
        for group, belongs in groups.items():
            lists[f'{split}_{group}'] = [info for info in part if belongs(info)]
    for name, part in lists.items():
        ids = ''.join(info['sample_id'] + '\n' for info in part)
        (work / f'{name}.txt').write_text(ids)
