"""Memory-mapped file of a bank, shared by the processes of a machine."""

import errno
import fcntl
import hashlib
import math
import os
from collections.abc import Callable, Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import torch
from mmengine.dist import barrier, get_rank
from torch import Tensor

from mmxpl.utils.errors import DataError
from mmxpl.utils.files import draft_of, publish

_CHUNK = 16 << 20  # bytes


class LabelArrays(NamedTuple):
    """Arrays of the bank for N clips."""

    visits: Tensor  # (N,) int32, number of labels that each clip was given
    change: Tensor  # (N,) float32, mean |L_t - L_(t-1)|
    scores: Tensor  # (N,) float32, reliability
    labels: Tensor  # (N, M, h, w) float16


def file_size(num: int, map_shape: Sequence[int]) -> int:
    """Computes the bytes of a file: 12 a clip and 2 a cell of its (M, h, w) labels."""
    return num * (12 + 2 * math.prod(map_shape))


def create_file(path: str | Path, num: int, map_shape: Sequence[int]) -> int:
    """Creates, or overwrites, a file of zeros for N clips and (M, h, w) maps.

    It is locked until this process ends, so that no second run writes to it; the file
    descriptor that holds the lock is returned. The disk space is reserved at once:
    writing mapped memory to a full disk would kill the process by a signal. A DataError
    says that another process uses the file, or that there is no room for it.
    """
    path, size = Path(path), file_size(num, map_shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.posix_fallocate(descriptor, 0, size)
    except BlockingIOError as error:
        os.close(descriptor)
        raise DataError(
            f"pseudo-labels '{path}' are in use by another run. Give each run a "
            'bank_dir of its own.'
        ) from error
    except OSError as error:
        os.close(descriptor)
        path.unlink(missing_ok=True)
        raise DataError(
            f"pseudo-labels '{path}' need {size / 1e9:.1f} GB that are not available "
            f'({error.strerror}). Make room or name another bank_dir.'
        ) from error
    return descriptor


def map_file(
    path: str | Path, num: int, map_shape: Sequence[int], shared: bool = True
) -> LabelArrays:
    """Maps a file, see :func:`create_file`, into memory.

    With ``shared``, writes to the arrays reach the file and all processes that map it.
    A DataError says that the file is of another size.
    """
    size = file_size(num, map_shape)
    found = Path(path).stat().st_size
    if found != size:
        raise DataError(
            f"pseudo-labels '{path}' are of {found} bytes, {size} are needed for "
            f'{num} clips and maps of {tuple(map_shape)}: the file is damaged.'
        )
    data = torch.from_file(str(path), shared=shared, size=size, dtype=torch.uint8)
    visits, change, scores = data[: 12 * num].view(3, -1).unbind()
    return LabelArrays(
        visits.view(torch.int32),
        change.view(torch.float32),
        scores.view(torch.float32),
        data[12 * num :].view(torch.float16).view(num, *map_shape),
    )


def copy_file(source: str | Path, folder: str | Path) -> str:
    """Copies a file atomically, under the name :func:`copy_name` of its digest.

    Returns that: the SHA-256, in hexadecimal, of the SHA-256s of its pieces of 16 MiB,
    which are computed in parallel. The source must not be written to meanwhile. A
    DataError says that there is no room in the folder.
    """
    # what killed writers leave is removed at the next start
    draft = draft_of(Path(folder, 'pseudo_labels.bin'))
    try:
        with open(source, 'rb') as reader, open(draft, 'wb') as writer:
            size = os.fstat(reader.fileno()).st_size
            try:
                os.posix_fallocate(writer.fileno(), 0, size)
                digest = _digest(reader.fileno(), size, writer.fileno())
                os.fsync(writer.fileno())
            except OSError as error:
                raise DataError(
                    f"pseudo-labels cannot be saved to '{folder}', which needs "
                    f'{size / 1e9:.1f} GB ({error.strerror}). Make room and resume '
                    'from the last checkpoint.'
                ) from error
        publish(draft, Path(folder, copy_name(digest)))
    finally:
        draft.unlink(missing_ok=True)
    return digest


def copy_name(digest: str) -> str:
    """Names the copy with a digest; '*' gives the glob pattern of all copies."""
    return f'pseudo_labels.sha256_{digest[:16]}.bin'


def is_whole(path: str | Path, digest: str) -> bool:
    """Tells whether a copy can be read and has the digest of :func:`copy_file`."""
    try:
        with open(path, 'rb') as reader:
            size = os.fstat(reader.fileno()).st_size
            return _digest(reader.fileno(), size) == digest
    except OSError:
        return False


def open_copy(
    path: str | Path, digest: str, num: int, map_shape: Sequence[int]
) -> LabelArrays:
    """Maps a copy with the digest of :func:`copy_file` into memory.

    Writes do not reach the file. For ``num`` and ``map_shape`` see :func:`create_file`.
    A DataError says that the copy is missing or differs.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(
            f"the checkpoint's pseudo-labels are in '{path}', which does not exist. "
            'Put it beside the checkpoint, or resume from another checkpoint.'
        )
    if not is_whole(path, digest):
        raise DataError(
            f"'{path}' is not what the checkpoint was saved with: it is damaged or of "
            'another run. Resume from another checkpoint.'
        )
    return map_file(path, num, map_shape, shared=False)


def remove_copies(folder: str | Path, keep: Container[str]) -> None:
    """Removes copies in a folder whose names are not to be kept."""
    for path in Path(folder).glob(copy_name('*')):
        if path.name not in keep:
            path.unlink()


def local_rank() -> int:
    """Rank among the processes of this machine, from the environment."""
    return int(os.environ.get('LOCAL_RANK', 0))


def bank_path(folder: str | Path) -> Path:
    """Gives the file of this machine's bank, named after its first rank.

    Machines may share the folder.
    """
    return Path(folder, f'pseudo_labels.rank{get_rank() - local_rank()}.bin')


def in_turns(action: Callable[[bool], object], shared: bool) -> None:
    """Runs an action on the first process of each machine, then on the others.

    The action is told whether this process is the first of its machine. Unless what it
    changes is ``shared``, every process is.
    """
    first = not shared or local_rank() == 0
    if first:
        action(True)
    barrier()
    if not first:
        action(False)


def _digest(reader: int, size: int, writer: int | None = None) -> str:
    """Computes the digest of a file and, with a writer, copies the file."""

    def piece(offset: int) -> bytes:
        data = os.pread(reader, _CHUNK, offset)
        if writer is not None and os.pwrite(writer, data, offset) < len(data):
            raise OSError(errno.EIO, 'the file was written in part')
        return hashlib.sha256(data).digest()

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        digests = b''.join(pool.map(piece, range(0, size, _CHUNK)))
    return hashlib.sha256(digests).hexdigest()
