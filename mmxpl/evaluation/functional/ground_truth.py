"""Ground truth made ready to be compared with many maps."""

import numpy as np
import torch
from torch import Tensor


class GroundTruth:
    """Ground-truth maps with the sums that every score of them needs.

    Args:
        maps (Tensor): (N, S, S) in [0, 1], fractional where annotators disagree.

    Attributes:
        size (int): S.
        values (ndarray): (N, S * S) float32.
        annotated (ndarray): (N, S * S) bool, where the values are not 0.
        area (Tensor): (N,) int64, how many pixels are annotated.
        total (Tensor): (N,) float64, sum of the values.
    """

    def __init__(self, maps: Tensor):
        self.size = maps.shape[-1]
        self.values = maps.detach().cpu().float().flatten(1).numpy()
        self.annotated = np.empty(self.values.shape, bool)
        facts = list(map(_measure, self.values, self.annotated))
        self.area = torch.tensor([area for area, _ in facts])
        self.total = torch.tensor([total for _, total in facts], dtype=torch.float64)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def binary(self) -> Tensor:
        """Tensor: (N,) bool, whether all annotated pixels are 1."""
        # values are at most 1, so only ones can add up to their number
        return self.total == self.area


def _measure(values: np.ndarray, annotated: np.ndarray) -> tuple[int, float]:
    """Mark what is annotated in one row; its area and sum."""
    np.not_equal(values, 0, out=annotated)
    area = np.count_nonzero(annotated)
    # counting bits is far faster than adding numbers up
    if np.count_nonzero(values == 1) == area:
        return area, float(area)
    return area, values.sum(dtype=np.float64)
