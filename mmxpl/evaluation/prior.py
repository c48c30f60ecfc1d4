"""Reads a map that is known before any clip is seen."""

import numpy as np
import torch
from torch import Tensor

from mmxpl.utils import DataError


def load_prior(path: str) -> Tensor:
    """Reads a prior map, see :func:`mmxpl.evaluation.functional.mean_gt_map`.

    Args:
        path (str): .npy file.

    Returns:
        Tensor: (S, S) float32 in [0, 1].

    Raises:
        DataError: If the file cannot be read or holds anything else.
    """
    try:
        prior = np.load(path, allow_pickle=False)
    except Exception as error:  # whatever damage leads to, MemoryError as well
        raise DataError(
            f'The prior {path} cannot be read as .npy ({error}): write it with '
            'numpy.save.'
        ) from error
    if prior.ndim != 2 or not ((prior >= 0) & (prior <= 1)).all():
        raise DataError(
            f'The prior {path} must be a map (S, S) of values in [0, 1], but has the '
            f'shape {prior.shape}: write the mean of the training ground truth.'
        )
    return torch.from_numpy(prior).float()
