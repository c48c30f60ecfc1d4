"""Work directory of a training: its newest whole checkpoint, and its lock."""

import fcntl
import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from mmxpl.pseudo_labels.bank_file import is_whole
from mmxpl.utils.checkpoint import damaged_part, read_meta
from mmxpl.utils.errors import DataError
from mmxpl.utils.files import NO_LOCKS


class Candidate(NamedTuple):
    """Checkpoint to resume from; the newest is the largest."""

    run: int  # number of the run, from 1; 0 if the file has none
    iteration: int  # steps that were done
    epoch: int  # epochs that were done
    validated: bool  # whether the last of them is validated
    path: Path
    files: dict[str, str]  # digests of further files that belong to it, by name


def read_candidates(folder: str | Path) -> tuple[list[Candidate], list[Path]]:
    """Reads the progress of the checkpoints of a folder, the newest first.

    Returns them and the files that cannot be read; files with weights only are in
    neither list.
    """
    candidates, damaged = [], []
    for path in sorted(Path(folder).glob('*.pth')):
        try:
            meta, resumable = read_meta(path)
            if resumable:
                validated, files = meta.get('validated', False), meta.get('files', {})
                progress = meta.get('run', 0), meta['iter'], meta['epoch']
                candidates.append(Candidate(*progress, validated, path, files))
        except (DataError, KeyError):  # without a position it is not ours
            damaged.append(path)
    return sorted(candidates, reverse=True), damaged


def named_files(folder: str | Path) -> set[str]:
    """Lists further files of the checkpoints of a folder, except of damaged ones."""
    names = set()
    for path in Path(folder).glob('*.pth'):
        with suppress(DataError):
            names.update(read_meta(path)[0].get('files', {}))
    return names


def find_newest(folder: str | Path) -> tuple[Path | None, list[Path]]:
    """Finds the newest checkpoint that is whole, further files included.

    The number of the run and the iteration in the files decide. File times, names and
    ``last_checkpoint`` do not count, so that a clock that was set back, a copy or a
    damaged pointer changes nothing. Damaged files come second. A DataError says that
    there are checkpoints, but none is whole.
    """
    candidates, damaged = read_candidates(folder)
    for one in candidates:
        further = ((one.path.with_name(name), sha) for name, sha in one.files.items())
        if damaged_part(one.path) is None and all(is_whole(*file) for file in further):
            return one.path, damaged
        damaged.append(one.path)
    if damaged:
        names = ', '.join(f"'{path}'" for path in damaged)
        raise DataError(
            f'all checkpoints to resume from are damaged: {names}. Remove them to '
            'start from the beginning.'
        )
    return None, []


def choose_newest(
    folder: str | Path, pointer: Path, logger: logging.Logger
) -> str | None:
    """Finds the newest whole checkpoint, see :func:`find_newest`.

    Warns of damaged ones, and if ``pointer``, the file ``last_checkpoint``, which may
    be missing, names another one.
    """
    newest, damaged = find_newest(folder)
    if newest is None:
        return None
    for path in damaged:
        logger.warning(
            f"Checkpoint '{path}' is damaged and ignored; resuming from '{newest}'."
        )
    named = newest.name
    if pointer.is_file():
        named = pointer.read_text(encoding='utf-8', errors='replace').strip()
    if Path(named).name != newest.name:
        logger.warning(
            f"'{pointer}' names '{named}', but the newest whole checkpoint, which is "
            f"used, is '{newest}'. To use another one, give its path."
        )
    return str(newest)


def number_run(folder: str | Path, run: int | None, iteration: int) -> int:
    """Numbers a run, so that its checkpoints are the newest of a folder.

    A resumed run keeps its number, unless the folder has checkpoints newer than the
    ``iteration`` that it was resumed from.
    """
    candidates, _ = read_candidates(folder)
    if not candidates:
        return run or 1
    newest = candidates[0]
    if run is not None and (newest.run, newest.iteration) <= (run, iteration):
        return run
    return newest.run + 1


LOCK_FILE = '.train.lock'
_RANK_VARIABLES = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')


@contextmanager
def lock_work_dir(work_dir: str | Path) -> Iterator[None]:
    """Locks a work directory, made if it is missing, against a second training.

    It is a POSIX lock on one file: it ends with the process, whatever ends it, and data
    workers that outlive a killed training do not hold it. Network drives need a server
    with POSIX locks (NFS 4, or NFS with lockd); without locks, a warning is printed.
    Only the first process of a distributed run takes the lock.

    Raises a DataError if another process holds the lock, or the directory cannot be
    written to.
    """
    # before there is a process group to ask
    ranks = [os.environ[name] for name in _RANK_VARIABLES if name in os.environ]
    if ranks and int(ranks[0]) != 0:
        yield
        return
    path = Path(work_dir, LOCK_FILE)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, 'a+', encoding='utf-8')  # noqa: SIM115
    except OSError as error:
        raise DataError(
            f"work directory '{work_dir}' cannot be written to ({error.strerror}). "
            'Give another --work-dir.'
        ) from error
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                file.seek(0)
                holder = file.read().strip() or 'another process'
                raise DataError(
                    f"work directory '{work_dir}' is in use by {holder}. Wait for it, "
                    'end it, or give this training another --work-dir.'
                ) from error
            print(
                f"warning: '{work_dir}' is on a drive without locks; take care that "
                'no other training writes there.',
                file=sys.stderr,
            )
        else:
            file.truncate(0)
            file.write(f'process {os.getpid()} on {socket.gethostname()}')
            file.flush()
        yield
