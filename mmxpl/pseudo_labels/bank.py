"""The memory of pseudo-labels: one soft label per unlabelled clip and localizer."""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from mmxpl.utils.errors import DataError

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
    localizers.

    Memory is taken at the first update, when the size of the maps is known.

    Args:
        sample_ids (Sequence[str]): ids of the N unlabelled clips, in the order
            of their data set; a checkpoint is refused where they differ.
        names (Sequence[str]): names of the M localizers.
        momentum (float): weight of the past in [0, 1); 0 switches the average
            off. Defaults to 0.9.
    """

    def __init__(
        self, sample_ids: Sequence[str], names: Sequence[str], momentum: float = 0.9
    ) -> None:
        if not 0 <= momentum < 1:
            raise ValueError(f'momentum must be in [0, 1), got {momentum}.')
        self.num_samples = len(sample_ids)
        self.ids_hash = fingerprint(sample_ids)
        self.names = list(names)
        self.momentum = momentum
        self.labels: Tensor | None = None  # (N, M, h, w) float16
        self.visits = torch.zeros(self.num_samples, dtype=torch.int32)
        self.change = torch.ones(self.num_samples)  # mean |L_t - L_(t-1)|

    def __len__(self) -> int:
        return self.num_samples

    @property
    def is_complete(self) -> bool:
        """bool: whether every clip has a label."""
        return self.labels is not None and bool((self.visits > 0).all())

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
            DataError: If labels of another size are remembered.
        """
        device, index = soft.device, index.cpu()
        soft = soft.detach().float().cpu()
        if self.labels is None:
            self.labels = torch.zeros(
                (self.num_samples, *soft.shape[1:]), dtype=torch.float16
            )
        if soft.shape[1:] != self.labels.shape[1:]:
            raise DataError(
                'Pseudo-labels kept so far, of localizers x rows x columns '
                f'{tuple(self.labels.shape[1:])}, cannot be averaged with new ones of '
                f'{tuple(soft.shape[1:])}: resume with the strides and the picture '
                'size that the run was started with.'
            )
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
        self.labels[rows] = new.half()
        self.visits[rows] += 1
        return self.lookup(index).to(device)

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

    def reliability(self, measures: Sequence[str], chunk: int = 65536) -> Tensor:
        """Scores every clip, chunk by chunk so that memory stays flat.

        Args:
            measures (Sequence[str]): see :func:`~.reliability.reliability`.
            chunk (int): clips scored at once. Defaults to 65536.

        Returns:
            Tensor: (N,) in [0, 1]; 0 where a clip has no label yet.
        """
        if self.labels is None:
            return torch.zeros(self.num_samples)
        scores = [
            reliability(labels.float(), change, measures)
            for labels, change in zip(
                self.labels.split(chunk), self.change.split(chunk), strict=True
            )
        ]
        return torch.cat(scores) * (self.visits > 0)

    def state_dict(self) -> dict:
        """Everything that a resumed run needs, as tensors and plain values.

        Returns:
            dict: labels, visits, change and the identity of the bank.
        """
        return dict(
            labels=self.labels,
            visits=self.visits,
            change=self.change,
            ids_hash=self.ids_hash,
            names=self.names,
        )

    def load_state_dict(self, state: dict) -> None:
        """Restores what :meth:`state_dict` gave.

        Args:
            state (dict): a former state.

        Raises:
            ValueError: if it belongs to another list of clips or to other
                localizers.
        """
        if len(state['visits']) != self.num_samples:
            raise ValueError(
                f"The checkpoint's pseudo-labels are of {len(state['visits'])} clips, "
                f'the unlabelled set has {self.num_samples}. Resume with the list '
                'that the run was started with.'
            )
        if state['ids_hash'] != self.ids_hash:
            raise ValueError(
                "The checkpoint's pseudo-labels are of another unlabelled list (as "
                'long, but with other ids or in another order). Resume with the '
                'list that the run was started with.'
            )
        if state['names'] != self.names:
            raise ValueError(
                f"The checkpoint's pseudo-labels are of localizers {state['names']}, "
                f'the model has {self.names}.'
            )
        labels = state['labels']
        self.labels = None if labels is None else labels.cpu().clone()
        self.visits = state['visits'].cpu().clone()
        self.change = state['change'].cpu().clone()


def _first_occurrence(index: Tensor) -> Tensor:
    """Positions, in order, at which a value of ``index`` stands for the first time."""
    _, inverse = torch.unique(index, return_inverse=True)
    positions = torch.arange(len(index))
    first = torch.full((int(inverse.max()) + 1,), len(index), dtype=torch.long)
    first = first.scatter_reduce(0, inverse, positions, 'amin')
    return first.sort().values
