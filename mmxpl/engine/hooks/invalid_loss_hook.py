"""Stops a training whose loss is no number any more."""

import math

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmxpl.registry import HOOKS
from mmxpl.utils import DataError


@HOOKS.register_module()
class InvalidLossHook(Hook):
    """Raises at the first loss that is NaN or infinite and names the clips."""

    # before anything is logged or saved
    priority = 'VERY_HIGH'

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Looks at every value that the learner reports."""
        bad = {k: v for k, v in outputs.items() if not math.isfinite(float(v))}
        if not bad:
            return
        ids = [sample.sample_id for sample in data_batch['data_samples']]
        raise DataError(
            f'Iteration {runner.iter + 1}: '
            f'{", ".join(f"{k} is {float(v)}" for k, v in bad.items())}. The batch was '
            f'{", ".join(ids)}. Look at these clips, lower the learning rate, and '
            f'resume from the last checkpoint in {runner.work_dir}.'
        )
