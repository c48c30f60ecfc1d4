"""Which localizer learns from whose label."""

import torch
from torch import Tensor

EXCHANGES = ('cross', 'self', 'intersection', 'ensemble')


def exchange(labels: Tensor, mode: str = 'cross') -> Tensor:
    """Hands out pseudo-labels.

    Args:
        labels (Tensor): (B, M, h, w), the label that each of M localizers made.
        mode (str): 'cross', each learns from its neighbour's label, with M = 2
            from the other's (XPL); 'self', each from its own (self-training);
            'intersection', all from the minimum of all (the soft form of DMT's
            intersection of masks); 'ensemble', all from the mean of all.
            Defaults to 'cross'.

    Returns:
        Tensor: (B, M, h, w), the target of each localizer.
    """
    if mode == 'cross':
        return labels.roll(1, dims=1)
    if mode == 'self':
        return labels
    if mode == 'intersection':
        return torch.amin(labels, dim=1, keepdim=True).expand_as(labels)
    if mode == 'ensemble':
        return labels.mean(dim=1, keepdim=True).expand_as(labels)
    raise ValueError(f"exchange must be one of {EXCHANGES}, got '{mode}'.")
