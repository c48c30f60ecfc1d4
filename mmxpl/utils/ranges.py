"""Checks of settings that are numbers."""


def check_positive(**settings: float) -> None:
    """Refuses what is not above 0, NaN as well.

    Args:
        **settings (float): by name.

    Raises:
        ValueError: with name and value.
    """
    for name, value in settings.items():
        if not value > 0:
            raise ValueError(f'{name} must be positive, got {value}.')


def check_share(**settings: float) -> None:
    """Refuses what is not in [0, 1).

    Args:
        **settings (float): by name.

    Raises:
        ValueError: with name and value.
    """
    for name, value in settings.items():
        if not 0 <= value < 1:
            raise ValueError(f'{name} must be in [0, 1), got {value}.')


def check_not_negative(**settings: float) -> None:
    """Refuses what is below 0, NaN as well.

    Args:
        **settings (float): by name.

    Raises:
        ValueError: with name and value.
    """
    for name, value in settings.items():
        if not value >= 0:
            raise ValueError(f'{name} must not be negative, got {value}.')
