"""Stop of a training whose loss is NaN or infinite."""

import math

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmxpl.registry import HOOKS
from mmxpl.utils import DataError
from mmxpl.utils.checks import nonfinite_entries

from ..resume.checkpoint_hook import last_good

_REMEDY = 'Look at these clips, lower the learning rate, and go on with --resume.'


@HOOKS.register_module()
class InvalidLossHook(Hook):
    """Raises at the first loss that is NaN or infinite and names the clips.

    Weights and states of the optimizer, which can be NaN after a finite loss, are
    checked before they are saved, so that the last checkpoint is always usable.
    """

    # before anything is logged or saved
    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._batch = ''

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Checks every value that the learner returns.

        Raises:
            DataError: If one is NaN or infinite.
        """
        samples = (data_batch or {}).get('data_samples', ())
        self._batch = ', '.join(sample.sample_id for sample in samples)
        values = {k: float(torch.as_tensor(v).detach()) for k, v in outputs.items()}
        bad = [f'{k} is {v}' for k, v in values.items() if not math.isfinite(v)]
        if bad:
            raise DataError(
                f'Iteration {runner.iter + 1}: {", ".join(bad)}. The batch '
                f'was {self._batch}. {last_good(runner)} {_REMEDY}'
            )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Checks weights and optimizer.

        Raises:
            DataError: If a value is NaN or infinite.
        """
        bad = [
            name
            for key in ('state_dict', 'optimizer')
            for name in nonfinite_entries(checkpoint.get(key), key)
        ]
        if bad:
            raise DataError(
                f'Iteration {checkpoint["meta"]["iter"]}: {len(bad)} tensors, such as '
                f'{bad[0]}, are NaN or infinite, and are not saved. The last '
                f'batch was {self._batch}. {last_good(runner)} {_REMEDY}'
            )
