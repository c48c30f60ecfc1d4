"""Maps of a batch of data samples, checked and stacked."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmxpl.utils import DataError

from .checks import read_gt_map, read_pred_map


def stack_ground_truth(data_samples: Sequence[dict]) -> Tensor:
    """Ground-truth maps of a batch, (N, S, S) float32 in [0, 1]."""
    return _stack([read_gt_map(s) for s in data_samples], data_samples, 'gt_map')


def stack_predictions(data_samples: Sequence[dict], model: str) -> Tensor:
    """Predicted maps of one model, (N, h, w) float32 in [0, 1]."""
    maps = [read_pred_map(s, model) for s in data_samples]
    return _stack(maps, data_samples, f'pred_map.{model}')


def _stack(maps: list[Tensor], data_samples: Sequence[dict], field: str) -> Tensor:
    """Stacks maps; an error names the first of another shape."""
    for sample, one in zip(data_samples, maps, strict=True):
        if one.shape != maps[0].shape:
            raise DataError(
                f'{field} of sample {sample.get("sample_id")!r} has the shape '
                f'{tuple(one.shape)}, that of {data_samples[0].get("sample_id")!r} '
                f'{tuple(maps[0].shape)}: maps of a batch must agree.'
            )
    return torch.stack(maps)
