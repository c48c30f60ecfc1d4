"""Schedules: learning rate and warm-up without pseudo-labels."""

from mmengine.optim import LinearLR

from mmxpl.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class ShortWarmupLR(LinearLR):
    """Linear warm-up over a number of steps, shorter in a short training.

    Args:
        optimizer (OptimWrapper): the optimizer.
        end (int): steps of the training, set by the runner.
        num_steps (int): length of the warm-up.
        max_share (float): its largest share of the training, in [0, 1]; if that is
            below two steps, there is no warm-up.
        start_factor (float): share of the learning rate at the first step.
        by_epoch (bool): must be False, since it counts steps.
        **kwargs: Further arguments of :class:`mmengine.optim.LinearLR`.
    """

    def __init__(
        self,
        optimizer,
        end: int,
        num_steps: int = 50,
        max_share: float = 0.1,
        start_factor: float = 0.1,
        by_epoch: bool = False,
        **kwargs,
    ) -> None:
        if by_epoch:
            raise ValueError('ShortWarmupLR counts steps: set by_epoch=False.')
        steps = min(num_steps, int(end * max_share))
        if steps < 2:
            steps, start_factor = 1, 1.0
        super().__init__(
            optimizer, start_factor=start_factor, end=steps, by_epoch=False, **kwargs
        )


def count_warmup_epochs(warmup: int | float, max_epochs: int) -> int:
    """Counts the warm-up epochs, which have no pseudo-labels.

    Args:
        warmup (int | float): their number or, below 1, their share of the training,
            which is rounded to whole epochs, at least one.
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
