"""Lock that keeps a second training out of a work directory."""

import errno
import fcntl
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from mmxpl.utils.errors import DataError

LOCK_FILE = '.train.lock'
_RANK_VARIABLES = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')
_NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def lock_work_dir(work_dir: str | Path) -> Iterator[None]:
    """Locks a work directory against a second training.

    It is a POSIX lock on one file: it ends with the process, whatever ends it, and
    data workers that outlive a killed training do not hold it. Network drives need
    a server with POSIX locks (NFS 4, or NFS with lockd); without locks, a warning is
    printed. Only the first process of a distributed run takes the lock.

    Args:
        work_dir (str | Path): the directory, made if it is missing.

    Yields:
        None: control to the training.

    Raises:
        DataError: If another process holds the lock, or the directory cannot be
            written to.
    """
    if _rank() != 0:
        yield
        return
    with _open(work_dir) as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _NO_LOCKS_HERE:
                raise DataError(_refusal(work_dir, file)) from error
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


def _open(work_dir: str | Path) -> TextIO:
    path = Path(work_dir, LOCK_FILE)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return open(path, 'a+', encoding='utf-8')
    except OSError as error:
        raise DataError(
            f"work directory '{work_dir}' cannot be written to ({error.strerror}). "
            'Give another --work-dir.'
        ) from error


def _rank() -> int:
    """Reads the rank before there is a process group to ask."""
    ranks = (os.environ[name] for name in _RANK_VARIABLES if name in os.environ)
    return int(next(ranks, 0))


def _refusal(work_dir: str | Path, file) -> str:
    file.seek(0)
    holder = file.read().strip() or 'another process'
    return (
        f"work directory '{work_dir}' is in use by {holder}. Wait for it, end it, or "
        'give this training another --work-dir.'
    )
