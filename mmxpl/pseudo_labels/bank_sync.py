"""Keeps one bank of pseudo-labels for all processes of a run."""

import os
from collections.abc import Callable, Container, Sequence
from pathlib import Path

from mmengine.dist import barrier, get_rank
from torch import Tensor

from mmxpl.pseudo_labels import PseudoLabelBank
from mmxpl.pseudo_labels.bank_file import copy_name
from mmxpl.utils.parallel import count_rows, gather_rows


def local_rank() -> int:
    """Rank among the processes of this machine, as launchers and MMEngine set it."""
    return int(os.environ.get('LOCAL_RANK', 0))


def bank_path(folder: str | Path) -> Path:
    """File of this machine's bank.

    Every machine has one of its own, also where they share a file system.

    Args:
        folder (str | Path): where it lies.

    Returns:
        Path: named after the first rank of the machine.
    """
    return Path(folder, f'pseudo_labels.rank{get_rank() - local_rank()}.bin')


def gather_labels(
    index: Tensor, maps: Tensor, valid: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Collects what all ranks predicted.

    Args:
        index (Tensor): (B,) positions of the clips; B may differ between ranks.
        maps (Tensor): (B, M, h, w).
        valid (Tensor, optional): (B, h, w) bool, on all ranks or on none.

    Returns:
        tuple: the same of all ranks, equal on every rank and in the order of the
        positions, so that sums do not depend on who predicted what.
    """
    counts = count_rows(maps)
    index = gather_rows(index.to(maps.device), counts)
    order = index.argsort(stable=True)
    if valid is not None:
        valid = gather_rows(valid, counts)[order]
    return index[order], gather_rows(maps, counts)[order], valid


def update_bank(
    bank: PseudoLabelBank, index: Tensor, labels: Tensor, valid: Tensor | None = None
) -> None:
    """Updates the bank of every process; all ranks call it with the same values.

    A bank in memory is updated by its process. A bank in a file is written by the
    first process of each machine, and the others wait for it.

    Args:
        bank (PseudoLabelBank): this process's bank.
        index (Tensor): (B,) see :meth:`PseudoLabelBank.update`.
        labels (Tensor): (B, M, h, w) labels of all ranks.
        valid (Tensor, optional): (B, h, w).
    """
    if bank.path is None:
        bank.update(index, labels, valid)
        return
    first = local_rank() == 0
    if bank.labels is None:
        in_turns(first, lambda: bank.allocate(labels.shape[1:], create=first))
    if first:
        bank.update(index, labels, valid)
    barrier()


def load_bank(
    bank: PseudoLabelBank, state: dict, folders: Sequence[str | Path]
) -> None:
    """Restores the bank of every process.

    Args:
        bank (PseudoLabelBank): this process's bank.
        state (dict): what :meth:`PseudoLabelBank.state_dict` gave.
        folders (Sequence[str | Path]): where the copy of a file may be; the first
            that has it is taken.
    """
    folder = next(
        (f for f in folders if Path(f, state.get('file', '')).is_file()), folders[0]
    )
    first = bank.path is None or local_rank() == 0
    in_turns(first, lambda: bank.load_state_dict(state, folder, create=first))


def remove_copies(folder: str | Path, keep: Container[str]) -> None:
    """Removes copies of banks that no checkpoint names any more.

    Args:
        folder (str | Path): where checkpoints and copies are.
        keep (Container[str]): names that stay.
    """
    for path in Path(folder).glob(copy_name('*')):
        if path.name not in keep:
            path.unlink()


def in_turns(first: bool, action: Callable[[], object]) -> None:
    """Does something on the first process of each machine, then on the others."""
    if first:
        action()
    barrier()
    if not first:
        action()
