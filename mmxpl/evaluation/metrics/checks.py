"""What metrics demand of data samples before they score them."""

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from mmxpl.utils import DataError


def read_gt_map(sample: dict) -> Tensor:
    """Ground-truth map of a sample.

    Args:
        sample (dict): A data sample as a plain dictionary.

    Returns:
        Tensor: (S, S) float32 in [0, 1].

    Raises:
        DataError: If it is missing, not square or not in [0, 1].
    """
    gt_map = sample.get('gt_map')
    if gt_map is None or gt_map.ndim != 2 or gt_map.shape[0] != gt_map.shape[1]:
        found = 'none' if gt_map is None else f'the shape {tuple(gt_map.shape)}'
        raise DataError(
            f'Sample {sample.get("sample_id")!r} has no square gt_map but {found}: put '
            'RasterizeTargets into the pipeline and evaluate on annotated samples.'
        )
    return _check_range(gt_map, sample, 'gt_map')


def read_pred_maps(sample: dict, model: str) -> Tensor:
    """Predicted maps of one model.

    Args:
        sample (dict): A data sample as a plain dictionary.
        model (str): Field of ``pred_map``.

    Returns:
        Tensor: (P, h, w) float32 in [0, 1], P at least 1.

    Raises:
        DataError: If there is none, or it is of another shape or not in [0, 1].
    """
    predicted = sample.get('pred_map') or {}
    if model not in predicted:
        raise DataError(
            f'Sample {sample.get("sample_id")!r} has no pred_map.{model} but '
            f'{sorted(predicted)}: set `models` of the metric to what the learner '
            'predicts.'
        )
    maps = predicted[model]
    if maps.ndim != 3 or not maps.numel():
        raise DataError(
            f'pred_map.{model} of sample {sample.get("sample_id")!r} has the shape '
            f'{tuple(maps.shape)}: it must be (P, h, w), one map or more.'
        )
    return _check_range(maps.detach(), sample, f'pred_map.{model}')


def read_pred_map(sample: dict, model: str) -> Tensor:
    """The one predicted map of a model, see :func:`read_pred_maps`.

    Returns:
        Tensor: (h, w) float32 in [0, 1].

    Raises:
        DataError: Also if there are several.
    """
    maps = read_pred_maps(sample, model)
    if len(maps) != 1:
        raise DataError(
            f'pred_map.{model} of sample {sample.get("sample_id")!r} has the shape '
            f'{tuple(maps.shape)}: it must be (1, h, w); several maps of a sample are '
            'scored by MultiSourceMetric.'
        )
    return maps[0]


def read_gt_boxes(sample: dict) -> Tensor:
    """Ground-truth boxes of a sample.

    Args:
        sample (dict): A data sample as a plain dictionary.

    Returns:
        Tensor: (K, 4) float32, x1 y1 x2 y2 normalised; K may be 0.

    Raises:
        DataError: If there is no such field or a value is not finite.
    """
    instances = sample.get('gt_instances')
    boxes = None if instances is None else instances.get('bboxes')
    if boxes is None or boxes.ndim != 2 or boxes.shape[1] != 4:
        found = 'none' if boxes is None else f'the shape {tuple(boxes.shape)}'
        raise DataError(
            f'Sample {sample.get("sample_id")!r} has no gt_instances.bboxes (K, 4) but '
            f'{found}: evaluate on clips whose annotation has boxes.'
        )
    if not boxes.isfinite().all():
        raise DataError(
            f'gt_instances.bboxes of sample {sample.get("sample_id")!r} are not '
            f'finite: {boxes.tolist()}. Correct the annotation.'
        )
    return boxes.detach().cpu().float()


def check_unique(ids: Sequence[str]) -> None:
    """Refuses samples that were scored twice.

    Args:
        ids (Sequence[str]): of all samples.

    Raises:
        DataError: With the ids that repeat.
    """
    twice = sorted(i for i, count in Counter(ids).items() if count > 1)
    if twice:
        shown = ', '.join(map(str, twice[:10])) + (' ...' if len(twice) > 10 else '')
        raise DataError(
            f'{len(twice)} sample ids were evaluated more than once: {shown}. Remove '
            'the duplicates from the list, or use DefaultSampler for evaluation.'
        )


def _check_range(maps: Tensor, sample: dict, field: str) -> Tensor:
    """Refuse maps that are not finite or not in [0, 1]."""
    maps = maps.cpu().float()
    low, high = maps.aminmax()
    # a comparison with NaN is false, so NaN is caught as well
    if not (low >= 0 and high <= 1):
        where = torch.nonzero(~maps.isfinite())
        raise DataError(
            f'{field} of sample {sample.get("sample_id")!r} is not in [0, 1]: its '
            f'values go from {float(low):g} to {float(high):g}, {len(where)} are not '
            'finite. If there are such, look for the cause in training; else turn the '
            'values into probabilities.'
        )
    return maps
