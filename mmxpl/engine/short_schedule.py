"""Trainings too short for their schedule, as small folders make them."""

from collections.abc import Iterator

from mmengine.optim.scheduler.param_scheduler import (
    ConstantParamScheduler,
    LinearParamScheduler,
)
from mmengine.runner import Runner


def short_schedules(runner: Runner) -> Iterator[str]:
    """Looks at the number of steps before training begins.

    Args:
        runner (Runner): With a training loop over epochs, built.

    Yields:
        str: A line on what is too short, with the number of steps and what to set.
    """
    steps, loop = len(runner.train_dataloader), runner.train_loop
    total = steps * loop.max_epochs
    if steps == 1:
        yield (
            'An epoch has one step: there are no more clips than a batch holds '
            f'({runner.train_dataloader.batch_size}). Set num_batches of '
            'train_dataloader.sampler, or smaller batches.'
        )
    schedulers = runner.param_schedulers
    for place, scheduler in enumerate(
        schedulers if isinstance(schedulers, list) else ()
    ):
        if not isinstance(scheduler, ConstantParamScheduler | LinearParamScheduler):
            continue
        length = scheduler.end * (steps if scheduler.by_epoch else 1)
        if scheduler.begin == 0 and length > total:
            yield (
                f'All {total} steps of this training, {loop.max_epochs} epochs of '
                f'{steps}, lie inside the warm-up of the learning rate, which takes '
                f'{length}. Set param_scheduler.{place}.end, more epochs, or '
                'num_batches of train_dataloader.sampler.'
            )
