"""Which checkpoint of a directory a run goes on from."""

import logging
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from mmxpl.pseudo_labels.bank_file import is_whole
from mmxpl.utils.checkpoint import damaged_part, read_meta
from mmxpl.utils.errors import DataError


class Candidate(NamedTuple):
    """A checkpoint that a run can go on from, and how far it is."""

    run: int  # which run in this directory wrote it, counted from 1
    iter: int
    epoch: int
    validated: bool
    path: Path
    files: dict[str, str]  # digests of what belongs to it, by name

    @property
    def is_whole(self) -> bool:
        """bool: Whether it is what was saved, and all that belongs to it."""
        return damaged_part(self.path) is None and all(
            is_whole(self.path.with_name(name), digest)
            for name, digest in self.files.items()
        )


def progress_of(path: Path, meta: dict[str, Any]) -> Candidate:
    """Makes a candidate of a checkpoint's ``meta``."""
    return Candidate(
        run=meta.get('run', 0),
        iter=meta['iter'],
        epoch=meta['epoch'],
        validated=meta.get('validated', False),
        path=path,
        files=meta.get('files', {}),
    )


def read_candidates(folder: str | Path) -> tuple[list[Candidate], list[Path]]:
    """Reads how far the checkpoints of a directory are.

    Args:
        folder (str | Path): The directory.

    Returns:
        tuple: The candidates, the newest first, and the files that cannot be
        read. Files of weights alone are in neither.
    """
    candidates, damaged = [], []
    for path in sorted(Path(folder).glob('*.pth')):
        try:
            meta, resumable = read_meta(path)
            if resumable:
                candidates.append(progress_of(path, meta))
        except (DataError, KeyError):  # one without a position is none of ours
            damaged.append(path)
    return sorted(candidates, reverse=True), damaged


def named_files(folder: str | Path) -> set[str]:
    """Lists what belongs to the checkpoints of a directory.

    Args:
        folder (str | Path): The directory.

    Returns:
        set[str]: Names of files. What damaged checkpoints name is not known.
    """
    names = set()
    for path in Path(folder).glob('*.pth'):
        with suppress(DataError):
            names.update(read_meta(path)[0].get('files', {}))
    return names


def find_newest(folder: str | Path) -> tuple[Path | None, list[Path]]:
    """Finds the newest checkpoint that is whole, with all that belongs to it.

    What counts is what the files say: the number of the run and the iteration.
    File times, names and the file ``last_checkpoint`` do not count, so that a
    clock that was set back, a copy, or a damaged pointer changes nothing.

    Args:
        folder (str | Path): The directory.

    Returns:
        tuple: The file, or None if there is no checkpoint at all, and the files
        that were left out because they are damaged.

    Raises:
        DataError: If there are checkpoints, but none is whole.
    """
    candidates, damaged = read_candidates(folder)
    for candidate in candidates:
        if candidate.is_whole:
            return candidate.path, damaged
        damaged.append(candidate.path)
    if damaged:
        names = ', '.join(f"'{path}'" for path in damaged)
        raise DataError(
            f'no checkpoint to resume from is whole: {names}. Remove what is damaged '
            'to start from the beginning.'
        )
    return None, []


def choose_newest(
    folder: str | Path, pointer: Path, logger: logging.Logger
) -> str | None:
    """Finds the newest whole checkpoint and warns of what it passes over.

    Args:
        folder (str | Path): The directory.
        pointer (Path): The file ``last_checkpoint``, which may be missing.
        logger (logging.Logger): Gets the warnings.

    Returns:
        str | None: The file; None if there is no checkpoint at all.

    Raises:
        DataError: If there are checkpoints, but none is whole.
    """
    newest, damaged = find_newest(folder)
    if newest is None:
        return None
    for path in damaged:
        logger.warning(
            f"Checkpoint '{path}' is damaged and left out; resuming from '{newest}'."
        )
    if not pointer.is_file():
        return str(newest)
    named = pointer.read_text(encoding='utf-8', errors='replace').strip()
    if Path(named).name != newest.name:
        logger.warning(
            f"'{pointer}' names '{named}', the newest whole checkpoint is '{newest}', "
            'which counts. To take another one, give its path.'
        )
    return str(newest)


def number_run(folder: str | Path, run: int | None, iteration: int) -> int:
    """Numbers a run, so that its checkpoints count as the newest of a directory.

    Args:
        folder (str | Path): The directory.
        run (int, optional): Number of the run that is resumed.
        iteration (int): Iterations done.

    Returns:
        int: The number of the resumed run; a new one if there is none, or if
        the directory has checkpoints that are newer than the one resumed from.
    """
    newest = next(iter(read_candidates(folder)[0]), None)
    if newest is None:
        return run or 1
    if run is not None and newest[:2] <= (run, iteration):
        return run
    return newest.run + 1
