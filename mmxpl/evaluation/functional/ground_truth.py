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
        self.annotated = self.values != 0
        self.area = torch.tensor([np.count_nonzero(row) for row in self.annotated])
        self.total = torch.from_numpy(self.values.sum(1, dtype=np.float64))

    def __len__(self) -> int:
        return len(self.values)

    @property
    def binary(self) -> Tensor:
        """Tensor: (N,) bool, whether all annotated pixels are 1."""
        # values are at most 1, so only ones can add up to their number
        return self.total == self.area
