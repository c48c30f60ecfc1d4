"""The memory of pseudo-labels: one soft label per unlabeled clip and localizer."""

import hashlib
import os
import weakref
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from mmxpl.utils.errors import DataError
from mmxpl.utils.ids import name_some

from .bank_file import (
    LabelArrays,
    copy_file,
    copy_name,
    create_file,
    map_file,
    open_copy,
)
from .reliability import reliability


def fingerprint(sample_ids: Sequence[str]) -> str:
    """Fingerprint of a list of ids, order included.

    Args:
        sample_ids (Sequence[str]): ids.

    Returns:
        str: SHA-256 in hexadecimal.
    """
    digest = hashlib.sha256()
    for sample_id in sample_ids:
        digest.update(sample_id.encode() + b'\n')
    return digest.hexdigest()


class PseudoLabelBank:
    """Exponential moving average of every clip's pseudo-labels (PL-EMA).

    At visit t of clip i the label of each localizer becomes
    ``L_t = momentum * L_(t-1) + (1 - momentum) * S_t``, where ``S_t`` is its
    sharpened prediction, and ``L_0 = S_0``. Labels live in the canonical frame,
    on the CPU, in half precision: 784 bytes a clip at 14 x 14 cells and two
    localizers, and 12 bytes for its visits, change and reliability.

    They are in the memory of the process or, with ``path``, in a file that is
    mapped into it: as large as the disk allows, shared by the processes of a
    machine, one of which writes (see :meth:`allocate`). Either is taken at the
    first update, when the size of the maps is known.

    Args:
        sample_ids (Sequence[str]): ids of the N unlabeled clips, in the order
            of their data set; a checkpoint is refused where they differ.
        names (Sequence[str]): names of the M localizers.
        momentum (float): weight of the past in [0, 1); 0 switches the average
            off. Defaults to 0.9.
        measures (Sequence[str]): of the reliability that every update keeps up
            to date. Defaults to ('agreement',).
        path (str | Path, optional): the file. Defaults to none.
    """

    CHECKPOINT_KEY = 'pseudo_label_bank'

    def __init__(
        self,
        sample_ids: Sequence[str],
        names: Sequence[str],
        momentum: float = 0.9,
        measures: Sequence[str] = ('agreement',),
        path: str | Path | None = None,
    ) -> None:
        if not 0 <= momentum < 1:
            raise ValueError(f'momentum must be in [0, 1), got {momentum}.')
        self.sample_ids = sample_ids
        self.num_samples = len(sample_ids)
        self.ids_hash = fingerprint(sample_ids)
        self.names = list(names)
        self.momentum = momentum
        self.measures = list(measures)
        self.path = path
        self.labels: Tensor | None = None  # (N, M, h, w) float16
        self.visits = torch.zeros(self.num_samples, dtype=torch.int32)
        self.change = torch.ones(self.num_samples)  # mean |L_t - L_(t-1)|
        self.scores = torch.zeros(self.num_samples)  # reliability

    def __len__(self) -> int:
        return self.num_samples

    @property
    def is_complete(self) -> bool:
        """bool: whether every clip has a label."""
        return self.labels is not None and bool((self.visits > 0).all())

    def allocate(self, map_shape: Sequence[int], create: bool = True) -> None:
        """Takes the memory for labels; :meth:`update` does so where none is.

        Args:
            map_shape (Sequence[int]): (M, h, w).
            create (bool): whether to make the file rather than map the one that
                another process made. Defaults to True.

        Raises:
            DataError: if there is no room for the file or another run uses it.
        """
        if self.path is None:
            self.labels = torch.zeros(self.num_samples, *map_shape, dtype=torch.float16)
            return
        if create:
            lock = create_file(self.path, self.num_samples, map_shape)
            weakref.finalize(self, os.close, lock)
        self._take(map_file(self.path, self.num_samples, map_shape))
        if create:
            self.change.fill_(1)

    def _take(self, arrays: LabelArrays) -> None:
        """Uses arrays as its own."""
        self.visits, self.change, self.scores, self.labels = arrays

    def update(
        self, index: Tensor, soft: Tensor, valid: Tensor | None = None
    ) -> Tensor:
        """Blends new predictions into the labels.

        Args:
            index (Tensor): (B,) positions of the clips. Of a clip that stands
                twice only the first row counts.
            soft (Tensor): (B, M, h, w) sharpened predictions in [0, 1].
            valid (Tensor, optional): (B, h, w) bool, cells that were seen; the
                label keeps its value elsewhere. A clip's first visit stores all.

        Returns:
            Tensor: (B, M, h, w) float32, the labels of these clips after it.

        Raises:
            DataError: If labels of another size are remembered, or if a new one is
                NaN or infinite.
        """
        device, index = soft.device, index.cpu()
        soft = soft.detach().float().cpu()
        self.check_finite(index, soft)
        if self.labels is None:
            self.allocate(soft.shape[1:])
        if soft.shape[1:] != self.labels.shape[1:]:
            raise DataError(
                'Pseudo-labels kept so far, of localizers x rows x columns '
                f'{tuple(self.labels.shape[1:])}, cannot be averaged with new ones of '
                f'{tuple(soft.shape[1:])}: resume with the strides and the picture '
                'size that the run was started with.'
            )
        if not len(index):
            return soft.to(device)
        first = _first_occurrence(index)
        rows, seen = index[first], soft[first]
        old = self.labels[rows].float()
        weight = torch.where(self.visits[rows] > 0, self.momentum, 0.0)
        weight = weight.view(-1, 1, 1, 1).expand_as(old)
        if valid is not None:
            hidden = ~valid.cpu()[first].unsqueeze(1) & (weight > 0)
            weight = torch.where(hidden, torch.ones_like(weight), weight)
        new = weight * old + (1 - weight) * seen
        visited = self.visits[rows] > 0
        self.change[rows] = torch.where(
            visited, (new - old).abs().mean(dim=(1, 2, 3)), self.change[rows]
        )
        new = new.half()
        self.labels[rows] = new
        self.visits[rows] += 1
        self.scores[rows] = reliability(new.float(), self.change[rows], self.measures)
        return self.lookup(index).to(device)

    def check_finite(self, index: Tensor, maps: Tensor) -> None:
        """Refuses maps that are no numbers.

        One of them would spoil the average of its clip for good, and whatever is
        computed of the maps of a batch.

        Args:
            index (Tensor): (B,) positions of the clips.
            maps (Tensor): (B, ...) what is predicted for them.

        Raises:
            DataError: If a value is NaN or infinite, with the ids of the clips.
        """
        bad = ~maps.isfinite().flatten(1).all(dim=1)
        if bad.any():
            ids = [self.sample_ids[i] for i in index.to(bad.device)[bad].tolist()]
            raise DataError(
                f'Maps of {len(ids)} clips are NaN or infinite: {name_some(ids)}. Look '
                'at these clips and at the weights, lower the learning rate, and go on '
                'with --resume.'
            )

    def lookup(self, index: Tensor) -> Tensor:
        """Reads labels.

        Args:
            index (Tensor): (B,) positions of the clips.

        Returns:
            Tensor: (B, M, h, w) float32 in [0, 1].
        """
        if self.labels is None:
            raise RuntimeError('The bank holds no label yet: update it first.')
        return self.labels[index.cpu()].float()

    def reliability(
        self, measures: Sequence[str] | None = None, chunk: int = 65536
    ) -> Tensor:
        """Scores every clip.

        Args:
            measures (Sequence[str], optional): see
                :func:`~.reliability.reliability`. Defaults to the bank's own,
                which are at hand; others take a pass over all labels, chunk by
                chunk so that memory stays flat.
            chunk (int): clips scored at once. Defaults to 65536.

        Returns:
            Tensor: (N,) in [0, 1]; 0 where a clip has no label yet.
        """
        if measures is None or list(measures) == self.measures or self.labels is None:
            return self.scores.clone()
        scores = [
            reliability(labels.float(), change, measures)
            for labels, change in zip(
                self.labels.split(chunk), self.change.split(chunk), strict=True
            )
        ]
        return torch.cat(scores) * (self.visits > 0)

    def state_dict(self, folder: str | Path | None = None) -> dict:
        """Everything that a resumed run needs, as tensors and plain values.

        Args:
            folder (str | Path, optional): where a bank that lives in a file puts
                a copy of it, since the file itself moves on.

        Returns:
            dict: visits, change, scores and labels, or name, digest and map
            shape of the copy; and the identity of the bank.

        Raises:
            DataError: if there is no room for the copy.
        """
        identity = dict(
            num_samples=self.num_samples,
            ids_hash=self.ids_hash,
            names=self.names,
            measures=self.measures,
        )
        if self.path is None or self.labels is None:
            return dict(
                labels=self.labels,
                visits=self.visits,
                change=self.change,
                scores=self.scores,
                **identity,
            )
        digest = copy_file(self.path, folder)
        return dict(
            file=copy_name(digest),
            digest=digest,
            map_shape=list(self.labels.shape[1:]),
            **identity,
        )

    def load_state_dict(
        self, state: dict, folder: str | Path | None = None, create: bool = True
    ) -> None:
        """Restores what :meth:`state_dict` gave; from memory, or from its file.

        Args:
            state (dict): a former state, of a bank in memory or in a file.
            folder (str | Path, optional): where the copy of the file is.
            create (bool): as for :meth:`allocate`; if False, another process
                has restored the file. Defaults to True.

        Raises:
            ValueError: if it belongs to another list of clips or to other
                localizers.
            DataError: if the file is missing or damaged, if a label is NaN or
                infinite, or there is no room.
        """
        self._check(state)
        if 'file' in state:
            shape = state['map_shape']
        else:
            shape = None if state['labels'] is None else state['labels'].shape[1:]
        if self.path is not None and shape is not None:
            self.allocate(shape, create)
            if not create:
                return
        if 'file' in state:
            path = Path(folder or '.', state['file'])
            source = open_copy(path, state['digest'], self.num_samples, shape)
        else:
            source = LabelArrays(
                state['visits'], state['change'], state['scores'], state['labels']
            )
        self._check_arrays(source)
        if self.path is None or shape is None:
            arrays = (None if a is None else a.cpu().clone() for a in source)
            self._take(LabelArrays(*arrays))
        else:
            own = (self.visits, self.change, self.scores, self.labels)
            for target, array in zip(own, source, strict=True):
                target.copy_(array)
        if state['measures'] != self.measures:
            measures, self.measures = self.measures, state['measures']
            self.scores.copy_(self.reliability(measures))
            self.measures = measures

    def _check_arrays(self, arrays: LabelArrays, chunk: int = 65536) -> None:
        """Refuses labels that are no numbers."""
        bad = ~(arrays.change.isfinite() & arrays.scores.isfinite())
        if arrays.labels is not None:
            bad |= torch.cat(
                [
                    ~part.isfinite().flatten(1).all(dim=1)
                    for part in arrays.labels.split(chunk)
                ]
            )
        if bad.any():
            ids = [self.sample_ids[i] for i in bad.nonzero().flatten().tolist()]
            raise DataError(
                f"The checkpoint's pseudo-labels of {len(ids)} clips are NaN or "
                f'infinite: {name_some(ids)}. Resume from an earlier checkpoint.'
            )

    def _check(self, state: dict) -> None:
        """Refuses the state of another bank."""
        if state['num_samples'] != self.num_samples:
            raise ValueError(
                f"The checkpoint's pseudo-labels are of {state['num_samples']} clips, "
                f'the unlabeled set has {self.num_samples}. Resume with the list '
                'that the run was started with.'
            )
        if state['ids_hash'] != self.ids_hash:
            raise ValueError(
                "The checkpoint's pseudo-labels are of another unlabeled list (as "
                'long, but with other ids or in another order). Resume with the '
                'list that the run was started with.'
            )
        if state['names'] != self.names:
            raise ValueError(
                f"The checkpoint's pseudo-labels are of localizers {state['names']}, "
                f'the model has {self.names}.'
            )


def _first_occurrence(index: Tensor) -> Tensor:
    """Positions, in order, at which a value of ``index`` stands for the first time."""
    _, inverse = torch.unique(index, return_inverse=True)
    positions = torch.arange(len(index))
    first = torch.full((int(inverse.max()) + 1,), len(index), dtype=torch.long)
    first = first.scatter_reduce(0, inverse, positions, 'amin')
    return first.sort().values
