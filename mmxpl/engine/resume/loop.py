"""Training loop that can be stopped and resumed at any iteration."""

import errno
import random
from collections.abc import Iterator

import numpy as np
import torch
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from mmxpl.datasets.samplers import set_batch_size
from mmxpl.engine.optim import count_warmup_epochs
from mmxpl.registry import LOOPS
from mmxpl.utils.errors import DataError, explain_worker_death

from ..dist import explain_lost_rank
from .checkpoint_hook import find_hook, last_good
from .preemption_hook import PreemptionHook


def seed_step(seed: int, step: int) -> None:
    """Seeds Python's, NumPy's and PyTorch's generators for one training step.

    Random numbers then depend on the seed of run or rank and on the steps done only,
    and checkpoints need no state of generators.
    """
    words = np.random.SeedSequence([seed, step]).generate_state(3)
    python_seed, numpy_seed, torch_seed = (int(word) for word in words)
    random.seed(python_seed)
    np.random.seed(numpy_seed)
    torch.manual_seed(torch_seed)


@LOOPS.register_module()
class ResumableTrainLoop(EpochBasedTrainLoop):
    """MMEngine's loop over epochs, resumable at every iteration.

    Differences from its parent:

    - ``warmup_epochs``, the warm-up without pseudo-labels, which hooks and samplers
      read from here.
    - The batch size follows from the sampler, see
      :func:`mmxpl.datasets.samplers.set_batch_size`.
    - All random generators are seeded before every step with the runner's seed (with
      ``diff_rank_seed``, the rank's) and the number of the step.
    - A run that was saved within an epoch continues at the next iteration. A sampler
      with ``skip_batches(number)``, such as
      :class:`mmxpl.datasets.CurriculumSampler`, skips what was seen without reading
      files; with others the data is read and dropped.
    - A run that was stopped between an epoch and its validation validates first.
    - A killed data worker or a full disk ends the run with one clear error.

    Args:
        runner (Runner): the runner.
        dataloader (DataLoader | dict): the data loader or its config.
        max_epochs (int): number of epochs.
        warmup_epochs (int | float): epochs without pseudo-labels or, below 1, their
            share of ``max_epochs``; see
            :func:`mmxpl.engine.optim.count_warmup_epochs`.
        **kwargs: further arguments of
            :class:`mmengine.runner.EpochBasedTrainLoop`.

    Raises:
        DataError: If ``max_epochs`` or ``val_interval`` is not a positive integer.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        max_epochs: int,
        warmup_epochs: int | float = 0,
        **kwargs,
    ) -> None:
        numbers = dict(
            max_epochs=max_epochs, val_interval=kwargs.get('val_interval', 1)
        )
        for name, value in numbers.items():
            if not isinstance(value, int) or value < 1:
                raise DataError(
                    f'train_cfg.{name} is a number of epochs, 1 or more, got {value!r}.'
                )
        self.warmup_epochs = count_warmup_epochs(warmup_epochs, max_epochs)
        if isinstance(dataloader, dict):
            set_batch_size(dataloader)
        super().__init__(runner, dataloader, max_epochs, **kwargs)
        # whether the last whole epoch was validated; a checkpoint may say no
        self.validated = True

    @property
    def position(self) -> int:
        """int: iterations of the current epoch that are done."""
        return self._iter - self._epoch * len(self.dataloader)

    def run(self) -> nn.Module:
        """Trains.

        Raises a DataError if a data worker was killed, or the disk is full.
        """
        try:
            return self._run()
        except RuntimeError as error:
            cause = explain_worker_death(str(error)) or explain_lost_rank(error)
            if cause is None:
                raise
            if hook := find_hook(self.runner, PreemptionHook):
                hook.end_if_received(self.runner)
            raise DataError(f'{cause} {last_good(self.runner)}') from error
        except (DataError, OSError) as error:
            cause = error if isinstance(error, OSError) else error.__cause__
            full = getattr(cause, 'errno', None) in (errno.ENOSPC, errno.EDQUOT)
            good = last_good(self.runner)
            if not full or good in str(error):  # of the checkpoint hook
                raise
            raise DataError(
                f'{cause.strerror}, while the run was writing its log or pictures to '
                f"'{self.runner.work_dir}'. {good} Make room and go on with --resume."
            ) from error

    def _run(self) -> nn.Module:
        self.runner.call_hook('before_train')
        if not self.validated and self.position == 0:
            self._validate()
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._validate()
        self.runner.call_hook('after_train')
        return self.runner.model

    def _validate(self) -> None:
        """Validates if the epoch just ended asks for it."""
        self._decide_current_val_interval()
        due = self._epoch % self.val_interval == 0 or self._epoch == self._max_epochs
        if self.runner.val_loop and self._epoch >= self.val_begin and due:
            self.runner.val_loop.run()
        self.validated = True

    def run_epoch(self) -> None:
        """Trains for an epoch or the rest of it."""
        done = self.position
        if not 0 <= done <= len(self.dataloader):
            raise DataError(
                f'The checkpoint is at iteration {self._iter} in epoch '
                f'{self._epoch + 1}, which does not fit epochs of '
                f'{len(self.dataloader)} iterations. Resume with the batch size and '
                'the lists that the run was started with.'
            )
        # before the hooks, so that they know that the epoch is resumed
        if hasattr(self.dataloader.sampler, 'skip_batches'):
            self.dataloader.sampler.skip_batches(done)
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        self.validated = False
        if done < len(self.dataloader):
            for index, batch in enumerate(self._batches(done), start=done):
                self.run_iter(index, batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def _batches(self, done: int) -> Iterator[dict]:
        """Yields the rest of the epoch, with generators seeded for each batch."""
        batches = iter(self.dataloader)
        if done and not hasattr(self.dataloader.sampler, 'skip_batches'):
            self.runner.logger.info(
                f'{type(self.dataloader.sampler).__name__} cannot skip: {done} '
                'batches that were seen before are read and dropped.'
            )
            for _ in range(done):
                next(batches)
        while True:
            # data sets without workers draw from the same generators
            seed_step(self.runner.seed, self._iter)
            try:
                batch = next(batches)
            except StopIteration:
                return
            yield batch
