"""Memory of pseudo-labels: one soft label per unlabeled clip and localizer."""

import os
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.dist import barrier
from torch import Tensor

from mmxpl.utils.checks import check_share
from mmxpl.utils.errors import DataError
from mmxpl.utils.ids import fingerprint, name_some

from .bank_file import (
    LabelArrays,
    copy_file,
    copy_name,
    create_file,
    in_turns,
    local_rank,
    map_file,
    open_copy,
)
from .reliability import reliability

_CHUNK = 65536  # clips looked at together, so that memory stays flat


class PseudoLabelBank:
    """Exponential moving average of every clip's pseudo-labels (PL-EMA).

    At visit t of clip i the label of each localizer becomes
    ``L_t = momentum * L_(t-1) + (1 - momentum) * S_t``, where ``S_t`` is its
    sharpened prediction, and ``L_0 = S_0``. Labels are in the canonical frame, on
    the CPU, in half precision: 784 bytes a clip at 14 x 14 cells and two
    localizers, and 12 bytes for its visits, change and reliability.

    They are in the memory of each process or, with ``path``, in a memory-mapped
    file that the processes of a machine share and the first of them writes. All
    processes of a run call :meth:`update` and :meth:`load_state_dict` together.

    Args:
        sample_ids (Sequence[str]): ids of the N unlabeled clips, in the order
            of their data set.
        names (Sequence[str]): names of the M localizers.
        momentum (float): weight of the past in [0, 1); 0 switches the average
            off.
        measures (Sequence[str]): measures of the reliability that every update
            keeps up to date.
        path (str | Path, optional): the file.
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
        check_share(momentum=momentum)
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
        """Takes the memory for (M, h, w) labels, as the first :meth:`update` does.

        ``create`` makes the file rather than map the one that another process made. A
        DataError says that there is no room for it or that another run uses it.
        """
        if self.path is None:
            self.labels = torch.zeros(self.num_samples, *map_shape, dtype=torch.float16)
            return
        if create:
            lock = create_file(self.path, self.num_samples, map_shape)
            weakref.finalize(self, os.close, lock)
        self.visits, self.change, self.scores, self.labels = map_file(
            self.path, self.num_samples, map_shape
        )
        if create:
            self.change.fill_(1)

    def update(self, index: Tensor, soft: Tensor, valid: Tensor | None = None) -> None:
        """Blends new predictions into the labels.

        All processes call it with the same values. A bank in memory is updated by each;
        a bank in a file by the first process of each machine, for which the others
        wait.

        Args:
            index (Tensor): (B,) positions of the clips. If a clip occurs twice, its
                first row counts.
            soft (Tensor): (B, M, h, w) sharpened predictions in [0, 1].
            valid (Tensor, optional): (B, h, w) bool, cells that were seen; the label
                keeps its value elsewhere. A clip's first visit stores all.

        Raises:
            DataError: If labels have another size than the bank's, or are NaN or
                infinite.
        """
        index, soft = index.cpu(), soft.detach().float().cpu()
        self.check_finite(index, soft)
        shared = self.path is not None
        if self.labels is None:
            in_turns(lambda first: self.allocate(soft.shape[1:], create=first), shared)
        if soft.shape[1:] != self.labels.shape[1:]:
            raise DataError(
                'Pseudo-labels kept so far, of localizers x rows x columns '
                f'{tuple(self.labels.shape[1:])}, cannot be averaged with new ones of '
                f'{tuple(soft.shape[1:])}: resume with the strides and the picture '
                'size that the run was started with.'
            )
        if len(index) and not (shared and local_rank()):
            self._blend(index, soft, valid)
        if shared:
            barrier()

    def _blend(self, index: Tensor, soft: Tensor, valid: Tensor | None) -> None:
        """Averages (B, M, h, w) predictions with the labels of their clips."""
        # of a clip that occurs twice, in the order of the rows
        first = np.sort(np.unique(index.numpy(), return_index=True)[1])
        rows, seen = index[first], soft[first]
        old, visited = self.labels[rows].float(), self.visits[rows] > 0
        weight = torch.where(visited, self.momentum, 0.0)
        weight = weight.view(-1, 1, 1, 1).expand_as(old)
        if valid is not None:
            hidden = ~valid.cpu()[first].unsqueeze(1) & (weight > 0)
            weight = torch.where(hidden, torch.ones_like(weight), weight)
        new = weight * old + (1 - weight) * seen
        change = (new - old).abs().mean(dim=(1, 2, 3))
        self.change[rows] = torch.where(visited, change, self.change[rows])
        new = new.half()
        self.labels[rows] = new
        self.visits[rows] += 1
        self.scores[rows] = reliability(new.float(), self.change[rows], self.measures)

    def check_finite(self, index: Tensor, maps: Tensor) -> None:
        """Raises a DataError with the ids of clips whose maps are NaN or infinite.

        Such values would stay in a clip's average. ``index`` are (B,) positions of the
        clips, ``maps`` (B, ...) predictions for them.
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
        """Reads labels, (B, M, h, w) float32 in [0, 1], on the CPU.

        ``index`` are (B,) positions of the clips. A RuntimeError says that there is no
        label yet.
        """
        if self.labels is None:
            raise RuntimeError('The bank holds no label yet: update it first.')
        return self.labels[index.cpu()].float()

    def reliability(self) -> Tensor:
        """Returns the reliability, (N,) in [0, 1]; 0 where a clip has no label yet."""
        return self.scores.clone()

    def score_again(self, chunk: int = _CHUNK) -> None:
        """Computes the reliability anew, in a pass over all labels, a chunk at a time.

        Every :meth:`update` keeps it up to date, but by the measures of that time.
        """
        parts = zip(self.labels.split(chunk), self.change.split(chunk), strict=True)
        scores = [reliability(x.float(), change, self.measures) for x, change in parts]
        self.scores.copy_(torch.cat(scores) * (self.visits > 0))

    def state_dict(self, folder: str | Path | None = None) -> dict:
        """Gives everything that a resumed run needs, as tensors and plain values.

        That is visits, change, scores and labels, or name, digest and map shape of the
        copy of a bank in a file, which is put into ``folder``; and the identity of the
        bank. A DataError says that there is no room for the copy.
        """
        identity = ('num_samples', 'ids_hash', 'names', 'measures')
        state = {name: getattr(self, name) for name in identity}
        if self.path is None or self.labels is None:
            return state | {name: getattr(self, name) for name in LabelArrays._fields}
        digest = copy_file(self.path, folder)
        shape = list(self.labels.shape[1:])
        return state | dict(file=copy_name(digest), digest=digest, map_shape=shape)

    def load_state_dict(self, state: dict, *folders: str | Path) -> None:
        """Restores a state of :meth:`state_dict`, of a bank in memory or in a file.

        Args:
            state (dict): the state.
            *folders (str | Path): where the copy of a file may be; the first that has
                it is used.

        Raises:
            ValueError: If it belongs to another list of clips or to other localizers.
            DataError: If the file is missing or damaged, if a label is NaN or infinite,
                or if there is no room.
        """
        self._check_identity(state)
        in_turns(
            lambda first: self._load(state, folders, create=first),
            shared=self.path is not None,
        )

    def _load(self, state: dict, folders: Sequence[str | Path], create: bool) -> None:
        """Restores a state; in a shared file only the process that creates it."""
        source = None
        if 'file' in state:
            shape = state['map_shape']
        else:
            source = LabelArrays(*(state[name] for name in LabelArrays._fields))
            shape = None if source.labels is None else source.labels.shape[1:]
        to_file = self.path is not None and shape is not None
        if to_file:
            self.allocate(shape, create)
            if not create:
                return
        if source is None:
            paths = [Path(folder, state['file']) for folder in folders or ('.',)]
            path = next((path for path in paths if path.is_file()), paths[0])
            source = open_copy(path, state['digest'], self.num_samples, shape)
        self._check_arrays(source)
        if to_file:
            own = (self.visits, self.change, self.scores, self.labels)
            for target, array in zip(own, source, strict=True):
                target.copy_(array)
        else:
            arrays = (None if a is None else a.cpu().clone() for a in source)
            self.visits, self.change, self.scores, self.labels = arrays
        if state['measures'] != self.measures and self.labels is not None:
            self.score_again()

    def _check_arrays(self, arrays: LabelArrays) -> None:
        bad = ~(arrays.change.isfinite() & arrays.scores.isfinite())
        if arrays.labels is not None:
            parts = arrays.labels.split(_CHUNK)
            bad |= torch.cat([~x.isfinite().flatten(1).all(dim=1) for x in parts])
        if bad.any():
            ids = [self.sample_ids[i] for i in bad.nonzero().flatten().tolist()]
            raise DataError(
                f"The checkpoint's pseudo-labels of {len(ids)} clips are NaN or "
                f'infinite: {name_some(ids)}. Resume from an earlier checkpoint.'
            )

    def _check_identity(self, state: dict) -> None:
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
