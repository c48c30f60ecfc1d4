"""How long the parts of a training are."""


def count_warmup_epochs(warmup: int | float, max_epochs: int) -> int:
    """Counts the epochs of a training that have no pseudo-labels.

    Args:
        warmup (int | float): their number, or, as a float below 1, their share of
            the training, which is rounded to whole epochs, one at least.
        max_epochs (int): epochs of the training.

    Returns:
        int: Their number; not below ``max_epochs`` only where ``warmup`` says so.

    Raises:
        ValueError: If ``warmup`` is negative, or neither whole nor a share.
    """
    if warmup < 0 or (warmup >= 1 and warmup != int(warmup)):
        raise ValueError(
            'train_cfg.warmup_epochs is a number of epochs or, below 1, a share of '
            f'train_cfg.max_epochs, got {warmup}.'
        )
    if 0 < warmup < 1:
        return max(round(warmup * max_epochs), 1)
    return int(warmup)
