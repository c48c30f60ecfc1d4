"""Clips of the synthetic world, and writing of generated clips into a data folder."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import soundfile
from rich.progress import MofNCompleteColumn, Progress

from mmxpl.utils import DataError

from ..annotations import encode_rle, mask_box
from .config import CLASSES, SPLITS, WORLD_VERSION, WorldConfig
from .image import paint
from .layout import Layout, sample_layout, visible_masks
from .sound import record


@dataclass(frozen=True)
class GeneratedClip:
    """Generated clip."""

    image: np.ndarray  # uint8 (H, W, 3), BGR
    audio: np.ndarray  # int16 (samples,), mono
    info: dict  # entry of data_list, whose sample_id is that of clip_id()


#: Makes a clip from its split and its index there, and from nothing else.
Maker = Callable[[str, int], GeneratedClip]

#: Whether an entry of ``data_list`` belongs to the group, by name of the group.
Groups = Mapping[str, Callable[[dict], bool]]


def write_world(root: str | Path, config: WorldConfig, workers: int = 1) -> bool:
    """Writes a world, see :mod:`mmxpl.datasets.synthetic`, unless it is there already.

    Arguments, result and errors are those of :func:`write_folder`.
    """
    unheard = unheard_classes(config)
    groups = dict(
        heard=lambda info: _sounding(info).isdisjoint(unheard),
        unheard=lambda info: not _sounding(info).isdisjoint(unheard),
    )
    if config.matched:
        groups['unseen'] = lambda info: _all_classes(info).isdisjoint(unheard)
    return write_folder(
        root,
        partial(make_clip, config),
        {split: getattr(config, split) for split in SPLITS},
        config.to_dict(),
        dict(
            dataset_type='synthetic',
            task_name='avsl',
            classes=[c.name for c in CLASSES],
            unheard=unheard,
        ),
        sample_rate=config.sample_rate,
        quality=config.quality,
        groups=groups if unheard else None,
        about=dict(classes=[vars(c) for c in CLASSES], unheard=unheard),
        workers=workers,
    )


def unheard_classes(config: WorldConfig) -> list[str]:
    """Chooses the classes of the unheard lists; returns their names."""
    rng = np.random.default_rng([WORLD_VERSION, config.seed, len(SPLITS)])
    chosen = rng.permutation(len(CLASSES)).tolist()
    if config.matched:
        # every part of what is unheard has been heard: spread the shapes
        shapes = [CLASSES[i].shape for i in chosen]
        earlier = {i: shapes[:n].count(shapes[n]) for n, i in enumerate(chosen)}
        chosen.sort(key=earlier.get)
    chosen = chosen[: config.unheard]
    return [CLASSES[i].name for i in sorted(chosen)]


def make_clip(config: WorldConfig, split: str, index: int) -> GeneratedClip:
    """Makes the clip of a split and a number from the arguments alone."""
    layout = clip_layout(config, split, index)
    return GeneratedClip(
        image=paint(layout, config, _clip_rng(config, split, index, 1)),
        audio=record(layout, config, _clip_rng(config, split, index, 2)),
        info=describe(layout, clip_id(split, index), config.size),
    )


def clip_layout(config: WorldConfig, split: str, index: int) -> Layout:
    """Draws the layout of the clip of :func:`make_clip` without painting it."""
    rng = _clip_rng(config, split, index, 0)
    # drawn in any case, so that the setting moves no other random number
    offscreen = rng.random() < config.offscreen
    return sample_layout(config, rng, offscreen and split == 'train')


def describe(layout: Layout, sample_id: str, size: int) -> dict:
    """Annotates a layout in a frame of ``size`` pixels.

    Returns:
        dict: Entry of ``data_list``. ``category`` is the class of the foremost sounding
        object (or of the sound off-screen); ``bboxes`` are the boxes of the visible
        parts of what sounds, x1, y1, x2, y2 in shares of the frame; ``mask`` is the
        COCO run-length encoding of these parts together; ``objects`` lists everything
        in the frame from back to front.
    """
    masks = visible_masks(layout.objects, size)
    objects = [
        dict(
            category=CLASSES[placed.category].name,
            bbox=[round(v, 6) for v in mask_box(mask)],
            sounding=placed.sounding,
        )
        for placed, mask in zip(layout.objects, masks, strict=True)
    ]
    heard = [entry for entry in objects if entry['sounding']]
    union = masks[[placed.sounding for placed in layout.objects]].any(0)
    off = layout.offscreen
    return dict(
        sample_id=sample_id,
        img_path=f'frames/{sample_id}.jpg',
        audio_path=f'audio/{sample_id}.wav',
        category=CLASSES[off].name if off is not None else heard[-1]['category'],
        offscreen=off is not None,
        bboxes=[entry['bbox'] for entry in heard],
        mask=encode_rle(union),
        objects=objects,
    )


def _clip_rng(config: WorldConfig, split: str, index: int, stream: int):
    """Random numbers of one clip for layout (0), image (1) or sound (2)."""
    seeds = [WORLD_VERSION, config.seed, SPLITS.index(split), index, stream]
    return np.random.default_rng(seeds)


def _sounding(info: dict) -> set[str]:
    """Classes that sound in a clip."""
    heard = {o['category'] for o in info['objects'] if o['sounding']}
    return heard | {info['category']}


def _all_classes(info: dict) -> set[str]:
    """Classes that are seen or heard in a clip."""
    return {o['category'] for o in info['objects']} | {info['category']}


def clip_id(split: str, index: int) -> str:
    """Formats the id of a clip, such as 'train_00012'."""
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
) -> bool:
    """Writes a folder of generated clips unless it is there already.

    The folder, see :mod:`mmxpl.datasets.synthetic`, appears in one step when everything
    is written; an interrupted run leaves nothing under ``root``. What else is there, or
    not all of this, is a DataError.

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

    Returns:
        bool: True if the folder was written, False if it was there.
    """
    root, groups = Path(root).absolute(), groups or {}
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
        columns = (*Progress.get_default_columns(), MofNCompleteColumn())
        with Progress(*columns, disable=not sys.stderr.isatty()) as bar:
            write = partial(_write_clip, work, maker, sample_rate, quality)
            results = _map_in_order(write, jobs, workers)
            for split, info in bar.track(results, len(jobs), description=root.name):
                infos[split].append(info)
        _write_annotations(work, infos, metainfo, groups)
        world = dict(settings=settings, **(about or {}))
        (work / 'world.json').write_text(json.dumps(world, indent=2) + '\n')
        work.chmod(0o755)  # mkdtemp makes folders that are private
        if root.is_dir():
            root.rmdir()
        os.rename(work, root)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return True


def _write_clip(
    folder: Path, maker: Maker, sample_rate: int, quality: int, job: tuple[str, int]
) -> tuple[str, dict]:
    """Makes and writes a clip; returns its split and its entry of ``data_list``."""
    split, index = job
    clip = maker(split, index)
    path = folder / clip.info['img_path']
    if not cv2.imwrite(str(path), clip.image, [cv2.IMWRITE_JPEG_QUALITY, quality]):
        raise DataError(f'{path}: could not be written; is the disk full?')
    path = folder / clip.info['audio_path']
    soundfile.write(path, clip.audio, sample_rate, subtype='PCM_16')
    return split, clip.info


def _map_in_order(write: Callable, jobs: list, workers: int) -> Iterator:
    """Yields results in the order of the jobs, from this or other processes."""
    if workers <= 1:
        yield from map(write, jobs)
        return
    # both work where threads are running already; a fork server imports once
    known = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context(
        'forkserver' if 'forkserver' in known else 'spawn'
    )
    with context.Pool(workers, initializer=_start, initargs=(write,)) as pool:
        yield from pool.imap(_run, jobs, chunksize=8)


_write: Callable | None = None  # of a worker process


def _start(write: Callable) -> None:
    global _write
    cv2.setNumThreads(1)
    _write = write


def _run(job: tuple[str, int]) -> tuple[str, dict]:
    return _write(job)


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


def _write_annotations(
    work: Path, infos: dict[str, list[dict]], metainfo: dict, groups: Groups
) -> None:
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
    lists = infos | {
        f'{split}_{group}': [info for info in part if belongs(info)]
        for split, part in infos.items()
        for group, belongs in groups.items()
    }
    for name, part in lists.items():
        ids = ''.join(info['sample_id'] + '\n' for info in part)
        (work / f'{name}.txt').write_text(ids)
