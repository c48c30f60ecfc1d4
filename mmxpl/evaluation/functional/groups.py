"""Samples by the size of what sounds."""

from torch import Tensor

from .ground_truth import GroundTruth

SIZE_GROUPS = {
    'small': 0,
    'medium': 32**2,
    'large': 96**2,
    'huge': 144**2,
}
"""dict[str, int]: from which area on, in pixels of a 224x224 map, a sample is in
the group; it leaves it where the next one begins (SLAVC, ``EvaluatorFull``)."""


def size_groups(gt: GroundTruth) -> list[str]:
    """Size group of each sample by the sum of its ground truth.

    Args:
        gt (GroundTruth): N samples, of any size; areas are brought to 224x224.

    Returns:
        list[str]: N names out of :data:`SIZE_GROUPS`.
    """
    areas: Tensor = gt.total * (224 / gt.size) ** 2
    names = list(SIZE_GROUPS)
    return [
        names[sum(area >= start for start in SIZE_GROUPS.values()) - 1]
        for area in areas.tolist()
    ]
