"""How far a sample's pseudo-labels can be trusted, a number in [0, 1]."""

from collections.abc import Sequence

import torch
from torch import Tensor

MEASURES = ('agreement', 'confidence', 'stability')


def agreement(labels: Tensor) -> Tensor:
    """Soft IoU of the localizers' labels: sum of minima over sum of maxima.

    Args:
        labels (Tensor): (N, M, h, w) in [0, 1].

    Returns:
        Tensor: (N,) in [0, 1]; 0 where every label is empty, since two empty
        maps agree on nothing that could be learnt.
    """
    low, high = labels.amin(dim=1), labels.amax(dim=1)
    return low.sum(dim=(1, 2)) / high.sum(dim=(1, 2)).clamp_min(1e-6)


def confidence(labels: Tensor) -> Tensor:
    """One minus the mean binary entropy in bits.

    Args:
        labels (Tensor): (N, M, h, w) in [0, 1].

    Returns:
        Tensor: (N,) in [0, 1]; 1 where every cell is 0 or 1.
    """
    nats = torch.special.entr(labels) + torch.special.entr(1 - labels)
    return 1 - nats.mean(dim=(1, 2, 3)) / torch.log(nats.new_tensor(2.0))


def reliability(labels: Tensor, change: Tensor, measures: Sequence[str]) -> Tensor:
    """Multiplies the chosen measures.

    Args:
        labels (Tensor): (N, M, h, w) in [0, 1].
        change (Tensor): (N,), mean absolute change of the label at its last
            visit, in [0, 1]; stability is one minus it.
        measures (Sequence[str]): names out of 'agreement', 'confidence',
            'stability'.

    Returns:
        Tensor: (N,) in [0, 1].
    """
    score = torch.ones_like(change)
    for measure in measures:
        if measure == 'agreement':
            score = score * agreement(labels)
        elif measure == 'confidence':
            score = score * confidence(labels)
        elif measure == 'stability':
            score = score * (1 - change)
        else:
            raise ValueError(f"reliability measures are {MEASURES}, got '{measure}'.")
    return score
