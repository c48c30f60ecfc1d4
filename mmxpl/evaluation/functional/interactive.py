"""Interactive localization: several sounds of one image, each with its source."""

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor


def worst_of_group(values: Tensor, groups: Sequence[Hashable]) -> Tensor:
    r"""Computes the smallest value of each group: interactive IoU before its threshold.

    An image with sounds :math:`s` counts as interactively localized at a
    threshold t if every one of its sounds does, :math:`\min_s CIoU_s \ge t`. So
    the success rate of these minima is IIoU, and the area under it IAUC (Senocak
    et al., ICCV 2023; ``Evaluator_iiou`` of kaistmm/SSLalignment)::

        worst = worst_of_group(cious, images)
        iiou, iauc = success_rate(worst), auc(worst)

    Args:
        values (Tensor): (N, ...) with N > 0, such as CIoU under R rules (N, R).
        groups (Sequence): N names, equal for samples of one image.

    Returns:
        Tensor: (G, ...) in the order in which the groups appear first.
    """
    numbers: dict[Hashable, int] = {}
    index = torch.tensor([numbers.setdefault(g, len(numbers)) for g in groups])
    worst = values.new_empty(len(numbers), *values.shape[1:])
    index = index.reshape(-1, *[1] * (values.ndim - 1)).expand_as(values)
    # every row is written, since no group is empty
    return worst.scatter_reduce(0, index, values, 'amin', include_self=False)
