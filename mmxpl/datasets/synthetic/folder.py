"""Writing of generated clips into a data folder, completely or not at all.

The folder holds ``frames/ID.jpg``, ``audio/ID.wav`` (16-bit mono), ``annotations.json``
(everything), ``vggss.json`` (boxes in the layout of VGG-SS), ``train.txt``,
``val.txt``, ``test.txt`` (ids; with groups also ``SPLIT_GROUP.txt``) and ``world.json``
(the settings it was made with).
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


@dataclass(frozen=True)
class GeneratedClip:
    """Generated clip.

    Args:
        image (np.ndarray): uint8 BGR of shape (H, W, 3).
        audio (np.ndarray): int16 of shape (samples,), mono.
        info (dict): Entry of ``data_list``; its ``sample_id`` is :func:`clip_id`.
    """

    image: np.ndarray
    audio: np.ndarray
    info: dict


#: Makes a clip from its split and its index there, and from nothing else.
Maker = Callable[[str, int], GeneratedClip]

#: Whether an entry of ``data_list`` belongs to the group, by name of the group.
Groups = Mapping[str, Callable[[dict], bool]]


def clip_id(split: str, index: int) -> str:
    """Formats the id of a clip, such as 'train_00012'.

    Args:
        split (str): The split.
        index (int): Number of the clip within the split.

    Returns:
        str: The id.
    """
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
    workers: int = 1,
    progress: bool = True,
) -> bool:
    """Writes a folder of generated clips unless it is there already.

    The folder appears in one step when everything is written; an interrupted run leaves
    nothing under ``root``.

    Args:
        root (str | Path): Folder to write.
        maker (Maker): Makes the clips; picklable, it is sent to each worker once.
        counts (dict[str, int]): Number of clips by split.
        settings (dict): Settings that decide the files, as plain JSON values. The
            folder counts as written if it holds the same settings.
        metainfo (dict): Meta information for ``annotations.json``, with ``classes``.
        sample_rate (int): Sample rate of the audio in Hz.
        quality (int): JPEG quality, 1 to 100.
        groups (Groups, optional): Groups that get an id list ``SPLIT_GROUP.txt`` each;
            like all that is written they follow from ``settings``.
        about (dict, optional): Further content of ``world.json``.
        workers (int): Number of processes; the files do not depend on it.
        progress (bool): Whether to show a progress bar.

    Returns:
        bool: True if the folder was written, False if it was there.

    Raises:
        DataError: If ``root`` holds something else, or not all of this, or cannot be
            written to.
    """
    root = Path(root).absolute()
    groups = groups or {}
    if _is_written(root, _file_names(counts, groups), settings):
        return False
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f'.{root.name}.', dir=root.parent))
    except OSError as error:
        raise DataError(
            f'{root}: cannot be written to ({error.strerror}). Name another folder.'
        ) from error
    try:
        (work / 'frames').mkdir()
        (work / 'audio').mkdir()
        jobs = [(split, i) for split, count in counts.items() for i in range(count)]
        infos: dict[str, list[dict]] = {split: [] for split in counts}
        columns = (
            TextColumn('{task.description}'),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, disable=not progress) as bar:
            writer = _ClipWriter(work, maker, sample_rate, quality)
            results = _map_in_order(writer, jobs, workers)
            for split, info in bar.track(results, len(jobs), description=root.name):
                infos[split].append(info)
        _write_annotations(work, infos, metainfo)
        _write_ids(work, infos, groups)
        world = dict(settings=settings, **(about or {}))
        (work / 'world.json').write_text(json.dumps(world, indent=2) + '\n')
        work.chmod(0o755)  # mkdtemp makes folders that are private
        if root.is_dir():
            root.rmdir()
        os.rename(work, root)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return True


class _ClipWriter:
    """Makes and writes one clip after the other."""

    def __init__(self, folder: Path, maker: Maker, sample_rate: int, quality: int):
        self.folder = folder
        self.maker = maker
        self.sample_rate = sample_rate
        self.quality = [cv2.IMWRITE_JPEG_QUALITY, quality]

    def __call__(self, job: tuple[str, int]) -> tuple[str, dict]:
        """Writes a clip; returns its split and its entry of ``data_list``."""
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


def _map_in_order(
    writer: _ClipWriter, jobs: list, workers: int
) -> Iterator[tuple[str, dict]]:
    """Yields results in the order of the jobs, from this or other processes."""
    if workers <= 1:
        yield from map(writer, jobs)
        return
    # 'spawn' works where threads are running already, and on every system
    context = multiprocessing.get_context('spawn')
    with context.Pool(workers, initializer=_start, initargs=(writer,)) as pool:
        yield from pool.imap(_run, jobs, chunksize=8)


_writer: _ClipWriter | None = None


def _start(writer: _ClipWriter) -> None:
    global _writer
    cv2.setNumThreads(1)
    _writer = writer


def _run(job: tuple[str, int]) -> tuple[str, dict]:
    return _writer(job)


def _is_written(root: Path, names: list[str], settings: dict) -> bool:
    """Tells whether this very folder is there; raises if something else is."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    remedy = 'choose another --out or remove it first'
    try:
        found = dict(json.loads((root / 'world.json').read_text())['settings'])
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(
            f'--out {root}: exists and holds no generated clips; {remedy}'
        ) from None
    wanted = json.loads(json.dumps(settings))
    if found != wanted:
        changes = ', '.join(
            f'{k} {found.get(k)} (asked: {wanted.get(k)})'
            for k in {**wanted, **found}
            if found.get(k) != wanted.get(k)
        )
        raise DataError(
            f'--out {root}: holds clips of other settings: {changes}; {remedy}'
        )
    missing = [name for name in names if not (root / name).is_file()]
    if missing:
        raise DataError(
            f'--out {root}: {len(missing)} of its files are missing, such as '
            f'{missing[0]}; {remedy}'
        )
    return True


def _file_names(counts: dict[str, int], groups: Groups) -> list[str]:
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
