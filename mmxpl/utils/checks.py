"""Checks of numbers: ranges of settings, finite values of tensors."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from .nested import walk


def check_positive(**settings: float) -> None:
    """Raises a ValueError of the first setting that is not above 0, such as NaN."""
    for name, value in settings.items():
        if not value > 0:
            raise ValueError(f'{name} must be positive, got {value}.')


def check_share(**settings: float) -> None:
    """Raises a ValueError of the first setting outside [0, 1)."""
    for name, value in settings.items():
        if not 0 <= value < 1:
            raise ValueError(f'{name} must be in [0, 1), got {value}.')


def check_fraction(**settings: float) -> None:
    """Raises a ValueError of the first setting outside [0, 1]."""
    for name, value in settings.items():
        if not 0 <= value <= 1:
            raise ValueError(f'{name} must be in [0, 1], got {value}.')


def check_not_negative(**settings: float) -> None:
    """Raises a ValueError of the first setting that is below 0 or NaN."""
    for name, value in settings.items():
        if not value >= 0:
            raise ValueError(f'{name} must not be negative, got {value}.')


_CHUNK = 1 << 24  # values looked at together, so that memory stays flat


def is_finite(tensor: Tensor) -> bool:
    """Tells whether no value of a tensor of any shape and type is NaN or infinite."""
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return True
    return all(bool(part.isfinite().all()) for part in tensor.flatten().split(_CHUNK))


def nonfinite_entries(state: Any) -> Iterator[str]:
    """Yields the dotted names of tensors with NaN or infinite values in a checkpoint.

    ``state`` are nested dicts and lists.
    """
    for path, value in walk(state):
        if isinstance(value, Tensor) and not is_finite(value):
            yield '.'.join(path)
