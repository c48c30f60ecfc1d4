"""Maps of a batch of data samples, checked and stacked."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmxpl.utils import DataError


def stack_ground_truth(data_samples: Sequence[dict]) -> Tensor:
    """Ground-truth maps of a batch, (N, S, S)."""
    maps = []
    for sample in data_samples:
        gt_map = sample.get('gt_map')
        if gt_map is None or gt_map.ndim != 2 or gt_map.shape[0] != gt_map.shape[1]:
            found = 'none' if gt_map is None else f'the shape {tuple(gt_map.shape)}'
            raise DataError(
                f'Sample {sample.get("sample_id")!r} has no square gt_map but '
                f'{found}: put RasterizeTargets into the pipeline and evaluate on '
                'annotated samples.'
            )
        maps.append(gt_map)
    return _stack(maps, data_samples, 'gt_map')


def stack_predictions(data_samples: Sequence[dict], model: str) -> Tensor:
    """Predicted maps of one model, (N, h, w)."""
    maps = []
    for sample in data_samples:
        predicted = sample.get('pred_map') or {}
        if model not in predicted:
            raise DataError(
                f'Sample {sample.get("sample_id")!r} has no pred_map.{model} but '
                f'{sorted(predicted)}: set `models` of CIoUMetric to what the '
                'learner predicts.'
            )
        one = predicted[model]
        if one.ndim != 3 or one.shape[0] != 1:
            raise DataError(
                f'pred_map.{model} of sample {sample.get("sample_id")!r} has the '
                f'shape {tuple(one.shape)}: it must be (1, h, w).'
            )
        maps.append(one[0].detach())
    return _stack(maps, data_samples, f'pred_map.{model}')


def _stack(maps: list[Tensor], data_samples: Sequence[dict], field: str) -> Tensor:
    """Stack checked maps as float32; an error names the first bad sample."""
    ids = [sample.get('sample_id') for sample in data_samples]
    for sample_id, one in zip(ids, maps, strict=True):
        if one.shape != maps[0].shape:
            raise DataError(
                f'{field} of sample {sample_id!r} has the shape {tuple(one.shape)}, '
                f'that of {ids[0]!r} {tuple(maps[0].shape)}: maps of a batch must '
                'agree.'
            )
    stacked = torch.stack(maps).float()
    low, high = stacked.flatten(1).aminmax(dim=1)
    # a comparison with NaN is false, so NaN is caught as well
    good = (low >= 0) & (high <= 1)
    if not good.all():
        i = int((~good).nonzero()[0])
        raise DataError(
            f'{field} of sample {ids[i]!r} is not in [0, 1]: its values go from '
            f'{float(low[i]):g} to {float(high[i]):g}. If they are not finite, look '
            'for the cause in training; else turn them into probabilities.'
        )
    return stacked
