"""Alignment of the area of pseudo-labels with that of annotations."""

from collections.abc import Callable, Sequence

import torch
from mmengine.dist import all_gather, all_reduce
from torch import Tensor

from mmxpl.utils.parallel import own_share


def shift_logits(maps: Tensor, shift: Tensor) -> Tensor:
    """Shifts the logits of (B, M, h, w) probabilities by (M,) numbers, subtracted."""
    eps = 1e-6  # fp32 keeps both p and 1 - p apart from 0 at this distance
    logits = maps.float().clamp(eps, 1 - eps).logit()
    return (logits - shift.to(logits).view(1, -1, 1, 1)).sigmoid()


def solve_area_shift(
    maps: Tensor,
    area: float,
    soften: Callable[[Tensor], Tensor],
    valid: Tensor | None = None,
) -> Tensor:
    """Finds the (M,) shifts of the logits for a wanted mean area, by bisection.

    ``maps`` are (B, M, h, w) probabilities of M localizers, which ``soften`` turns into
    labels, ``area`` is the wanted mean of these in [0, 1], and ``valid``, (B, h, w)
    bool, marks the cells that count, at least one. The largest shift is 12, the error
    ``24 / 2**20``.
    """
    low = maps.new_full((maps.shape[1],), -12.0, dtype=torch.float32)
    high = -low
    weight = torch.ones_like(maps[:, 0]) if valid is None else valid.to(maps)
    weight = weight.unsqueeze(1) / weight.sum()
    for _ in range(20):
        middle = (low + high) / 2
        labels = soften(shift_logits(maps, middle))
        too_large = (labels * weight).sum(dim=(0, 2, 3)) > area
        low = torch.where(too_large, middle, low)
        high = torch.where(too_large, high, middle)
    return (low + high) / 2


class AreaAlignment:
    """Keeps the mean area of the pseudo-labels at that of the annotations.

    The foreground of labels that localizers make for each other can drift, and
    sharpening amplifies the drift. This is distribution alignment (ReMixMatch,
    Berthelot et al., ICLR 2020, §3.1) with two classes, foreground and background:
    the logits of each localizer are shifted by one number such that the mean of its
    labels equals the mean area of the annotated maps. Neither the order of the cells
    of a map nor that of clips by area changes. Not part of the XPL paper.

    The shift is a moving average over batches, a plain mean for the first
    ``1 / (1 - momentum)`` batches.

    Args:
        num_localizers (int): M.
        momentum (float): weight of the past in [0, 1).
    """

    def __init__(self, num_localizers: int, momentum: float = 0.98) -> None:
        self.momentum = momentum
        self.shift = torch.zeros(num_localizers)
        self.updates = 0
        # sum of the annotated areas and their number, of all ranks
        self.annotated = torch.zeros(2, dtype=torch.float64)
        # the same of this rank in this epoch, and of every rank, (W, 2), when saved
        self._this_epoch = torch.zeros(2, dtype=torch.float64)
        self._of_ranks: Tensor | None = None

    @property
    def area(self) -> float:
        """float: mean area of the annotated maps in [0, 1]."""
        return float(self.annotated[0] / self.annotated[1])

    def observe(self, areas: Sequence[float]) -> None:
        """Adds areas in [0, 1] of this rank's maps, which count from the next epoch."""
        self._this_epoch += torch.tensor([sum(areas), len(areas)], dtype=torch.float64)

    def end_epoch(self) -> None:
        """Sums the annotated areas of all ranks; every rank calls it."""
        all_reduce(self._this_epoch)
        self.annotated += self._this_epoch
        self._this_epoch = torch.zeros(2, dtype=torch.float64)

    def gather(self) -> None:
        """Collects this epoch's areas for :meth:`state_dict`; every rank calls it."""
        self._of_ranks = torch.stack(all_gather(self._this_epoch))

    def __call__(
        self,
        maps: Tensor,
        soften: Callable[[Tensor], Tensor],
        valid: Tensor | None = None,
    ) -> Tensor:
        """Updates the moving average by a batch and makes its labels.

        (B, M, h, w) probabilities, of all ranks, so that all ranks keep the same
        average, give labels in [0, 1]. For ``soften`` and ``valid`` see
        :func:`solve_area_shift`. A ValueError says that a probability is NaN or
        infinite.
        """
        if not maps.isfinite().all():
            rows = (~maps.isfinite()).flatten(1).any(dim=1).nonzero().flatten()
            raise ValueError(f'maps {rows.tolist()} of the batch are NaN or infinite.')
        wanted = solve_area_shift(maps, self.area, soften, valid).cpu()
        self.updates += 1
        weight = max(1 / self.updates, 1 - self.momentum)
        self.shift = self.shift.lerp(wanted, weight)
        return soften(shift_logits(maps, self.shift))

    def state_dict(self) -> dict:
        """Gives everything that a resumed run needs, as tensors and plain values."""
        return dict(
            shift=self.shift,
            updates=self.updates,
            annotated=self.annotated,
            this_epoch=self._of_ranks,
        )

    def load_state_dict(self, state: dict) -> None:
        """Restores what :meth:`state_dict` gave."""
        self.shift = state['shift'].cpu().clone()
        self.updates = state['updates']
        self.annotated = state['annotated'].cpu().clone()
        if state.get('this_epoch') is not None:
            self._this_epoch = own_share(state['this_epoch'].cpu())
