"""Writing a world to disk, once."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import tempfile
from functools import partial
from pathlib import Path

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

from .classes import CLASSES
from .clip import clip_id, make_clip
from .config import SPLITS, WORLD_VERSION, WorldConfig


def write_world(
    root: str | Path, config: WorldConfig, workers: int = 1, progress: bool = True
) -> bool:
    """Write a world, unless it is there already.

    The folder appears in one step when everything is written; a run that is cut
    short leaves nothing under ``root``.

    Args:
        root (str | Path): Folder to write, see the package for what it holds.
        config (WorldConfig): Settings.
        workers (int): Processes; the files do not depend on it. Defaults to 1.
        progress (bool): Show a progress bar. Defaults to True.

    Returns:
        bool: True if the world was written, False if it was there.

    Raises:
        DataError: If ``root`` holds something else, or this world incompletely.
    """
    root = Path(root).absolute()
    if _is_written(root, config):
        return False
    root.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f'.{root.name}.', dir=root.parent))
    try:
        (work / 'frames').mkdir()
        (work / 'audio').mkdir()
        infos = _write_clips(work, config, workers, progress)
        _write_annotations(work, config, infos)
        # mkdtemp hides its folder from everyone else; a data folder is no secret.
        work.chmod(0o755)
        if root.is_dir():
            root.rmdir()
        os.rename(work, root)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return True


def unheard_classes(config: WorldConfig) -> list[str]:
    """Names of the classes kept for the unheard lists, in the table's order."""
    rng = np.random.default_rng([WORLD_VERSION, config.seed, len(SPLITS)])
    chosen = rng.permutation(len(CLASSES))[: config.unheard]
    return [CLASSES[i].name for i in sorted(chosen)]


def _is_written(root: Path, config: WorldConfig) -> bool:
    """Whether this very world is there; raise if something else is."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    remedy = 'choose another --out or remove it first'
    try:
        found = json.loads((root / 'world.json').read_text())['settings']
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(
            f'--out {root}: exists and holds no synthetic world; {remedy}'
        ) from None
    wanted = config.to_dict()
    if found != wanted:
        names = [k for k in wanted if found.get(k) != wanted[k]]
        change = ', '.join(f'{k} {found.get(k)} (asked: {wanted[k]})' for k in names)
        raise DataError(f'--out {root}: holds another world: {change}; {remedy}')
    missing = [name for name in _expected_files(config) if not (root / name).is_file()]
    if missing:
        raise DataError(
            f'--out {root}: {len(missing)} files of this world are missing, such as '
            f'{missing[0]}; {remedy}'
        )
    return True


def _expected_files(config: WorldConfig) -> list[str]:
    names = ['annotations.json', 'vggss.json']
    names += [f'{split}.txt' for split in SPLITS]
    if config.unheard:
        names += [f'{s}_{h}.txt' for s in SPLITS for h in ('heard', 'unheard')]
    for split in SPLITS:
        for index in range(config.count(split)):
            sample_id = clip_id(split, index)
            names += [f'frames/{sample_id}.jpg', f'audio/{sample_id}.wav']
    return names


def _write_clips(
    work: Path, config: WorldConfig, workers: int, progress: bool
) -> dict[str, list[dict]]:
    jobs = [(s, i) for s in SPLITS for i in range(config.count(s))]
    infos: dict[str, list[dict]] = {split: [] for split in SPLITS}
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, disable=not progress)
    task = partial(_write_clip, work, config)
    with bar:
        row = bar.add_task('synthetic world', total=len(jobs))
        for split, info in _map_in_order(task, jobs, workers):
            infos[split].append(info)
            bar.advance(row)
    return infos


def _map_in_order(task, jobs, workers):
    """Yield the results in the order of the jobs, from this or other processes."""
    if workers <= 1:
        yield from map(task, jobs)
        return
    # 'spawn' works where threads are already running, and on every system.
    context = multiprocessing.get_context('spawn')
    with context.Pool(workers, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        yield from pool.imap(task, jobs, chunksize=16)


def _write_clip(work: Path, config: WorldConfig, job: tuple) -> tuple[str, dict]:
    split, index = job
    clip = make_clip(config, split, index)
    quality = [cv2.IMWRITE_JPEG_QUALITY, config.quality]
    path = work / clip.info['img_path']
    if not cv2.imwrite(str(path), clip.image, quality):
        raise DataError(f'{path}: could not be written; is the disk full?')
    soundfile.write(
        work / clip.info['audio_path'], clip.audio, config.sample_rate, 'PCM_16'
    )
    return split, clip.info


def _write_annotations(
    work: Path, config: WorldConfig, infos: dict[str, list[dict]]
) -> None:
    unheard = unheard_classes(config)
    classes = [c.name for c in CLASSES]
    entries = [info for split in SPLITS for info in infos[split]]
    metainfo = dict(
        dataset_type='synthetic', task_name='avsl', classes=classes, unheard=unheard
    )
    boxes = [
        {'file': e['sample_id'], 'class': e['category'], 'bbox': e['bboxes']}
        for e in entries
        if e['bboxes']
    ]
    _write_json(work / 'annotations.json', dict(metainfo=metainfo, data_list=entries))
    _write_json(work / 'vggss.json', boxes)
    for split in SPLITS:
        heard = [not _sounding(e) & set(unheard) for e in infos[split]]
        _write_ids(work / f'{split}.txt', infos[split])
        if unheard:
            for name, wanted in (('heard', True), ('unheard', False)):
                part = [
                    e for e, h in zip(infos[split], heard, strict=True) if h == wanted
                ]
                _write_ids(work / f'{split}_{name}.txt', part)
    world = dict(
        settings=config.to_dict(),
        classes=[vars(c) for c in CLASSES],
        unheard=unheard,
    )
    (work / 'world.json').write_text(json.dumps(world, indent=2) + '\n')


def _sounding(info: dict) -> set[str]:
    """Classes that are heard in a clip."""
    heard = {o['category'] for o in info['objects'] if o['sounding']}
    return heard | {info['category']}


def _write_json(path: Path, value) -> None:
    path.write_text(json.dumps(value, separators=(',', ':')) + '\n')


def _write_ids(path: Path, infos: list[dict]) -> None:
    path.write_text(''.join(info['sample_id'] + '\n' for info in infos))
