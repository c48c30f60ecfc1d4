"""Stop at a signal, with a checkpoint of the last iteration."""

import os
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmxpl.registry import HOOKS
from mmxpl.utils.checks import check_positive

from ..dist import close_dist
from .checkpoint_hook import AtomicCheckpointHook, find_hook, last_good


class Shielded:
    """``worker_init_fn`` of data workers that obey signals of their parent only.

    Schedulers send signals to every process of a job. Workers cannot ignore SIGTERM
    altogether: Python ends them by it, and then waits for them. A former
    ``worker_init_fn`` is called, too.
    """

    def __init__(
        self, worker_init_fn: Callable | None, signals: Sequence[signal.Signals]
    ) -> None:
        self.worker_init_fn, self.signals = worker_init_fn, signals

    def __call__(self, worker_id: int) -> None:
        """Blocks the signals and calls the former function."""
        if hasattr(signal, 'sigwaitinfo'):  # not on macOS: workers die there
            # blocked in this thread and all that start from here on
            signal.pthread_sigmask(signal.SIG_BLOCK, self.signals)
            threading.Thread(target=self._wait, daemon=True).start()
        if self.worker_init_fn is not None:
            self.worker_init_fn(worker_id)

    def _wait(self) -> None:
        """Consumes signals and ends the process if the parent sent one."""
        while signal.sigwaitinfo(self.signals).si_pid != os.getppid():
            pass
        os._exit(0)


# EX_TEMPFAIL of sysexits.h: nothing is wrong, try again
EXIT_CODE = os.EX_TEMPFAIL


@HOOKS.register_module()
class PreemptionHook(Hook):
    """Ends a training at a signal, with a checkpoint of the current iteration.

    The iteration is finished, the run's :class:`AtomicCheckpointHook` writes
    ``preempted.pth``, and the process exits with code 75 (EX_TEMPFAIL).
    ``resume=True`` then continues at the next iteration. Ranks agree on the
    iteration by a small all_reduce every ``interval`` iterations; a signal to one
    of them is enough.

    A validation that is due is left to the resumed run; in distributed runs a
    validation that has begun is finished first, and so is the scoring pass. Data
    workers ignore the signals, which schedulers send to every process of a job.

    Args:
        signals (Sequence[str]): names of signals: SIGTERM, which schedulers and
            torchrun send, and SIGUSR1 (``sbatch --signal=USR1@120``).
        interval (int, optional): iterations between two checks, equal on every
            rank. Defaults to 1 for one process, else to 10.
    """

    # after regular checkpoints are written
    priority = 'LOWEST'

    def __init__(
        self,
        signals: Sequence[str] = ('SIGTERM', 'SIGUSR1'),
        interval: int | None = None,
    ) -> None:
        check_positive(interval=1 if interval is None else interval)
        unknown = sorted(set(signals) - set(signal.Signals.__members__))
        if unknown:
            raise ValueError(f'signals: this system has no {", ".join(unknown)}.')
        self.signals = [signal.Signals[name] for name in signals]
        self.interval = interval
        self.received: int = 0
        self._former: dict = {}

    def before_train(self, runner: Runner) -> None:
        """Installs the signal handlers.

        Raises a TypeError if no AtomicCheckpointHook is there to save.
        """
        if find_hook(runner, AtomicCheckpointHook) is None:
            raise TypeError(
                'PreemptionHook saves with AtomicCheckpointHook: make it '
                'default_hooks.checkpoint, or remove this hook.'
            )
        if threading.current_thread() is not threading.main_thread():
            runner.logger.warning(
                'Signals end this run without a checkpoint, since it is not in the '
                'main thread.'
            )
            return
        if self.interval is None:
            self.interval = 1 if runner.world_size == 1 else 10
        for number in self.signals:
            self._former[number] = signal.signal(number, self._note)
        val_loop = runner.val_loop
        for loader in (runner.train_dataloader, val_loop and val_loop.dataloader):
            if loader is not None:
                loader.worker_init_fn = Shielded(loader.worker_init_fn, self.signals)

    def after_train(self, runner: Runner) -> None:
        """Restores the former signal handlers."""
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former = {}

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Stops after an iteration."""
        if not self._former:
            return
        # accumulated gradients are in no checkpoint
        updated = getattr(runner.optim_wrapper, 'should_update', lambda: True)()
        if updated and (runner.iter + 1) % self.interval == 0 and self._agreed():
            self._stop(runner, dict(epoch=runner.epoch, iter=runner.iter + 1))

    def after_val_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Stops a single process within a validation, which is then repeated."""
        # ranks may validate on unequal numbers of batches
        if runner.world_size == 1:
            self.before_val(runner)

    def before_val(self, runner: Runner) -> None:
        """Stops before a validation."""
        if self._former and self._agreed():
            self._stop(runner, dict(epoch=runner.epoch, iter=runner.iter))

    def _note(self, number: int, frame) -> None:
        self.received = number

    def _agreed(self) -> bool:
        """Tells whether some rank got a signal; every rank calls it."""
        flag = torch.tensor(self.received)
        all_reduce(flag, op='max')
        self.received = int(flag)
        return bool(self.received)

    def end_if_received(self, runner: Runner) -> None:
        """Exits with code 75 if a signal to the whole job has ended another process."""
        if self.received:
            self._say(runner, f'it has ended another process. {last_good(runner)}')
            raise SystemExit(EXIT_CODE)

    def _stop(self, runner: Runner, meta: dict) -> None:
        """Saves and exits; every rank calls it."""
        path = find_hook(runner, AtomicCheckpointHook).save_preempted(runner, meta)
        self._say(runner, f"stopped at iteration {meta['iter']}, saved to '{path}'.")
        close_dist()
        raise SystemExit(EXIT_CODE)

    def _say(self, runner: Runner, what: str) -> None:
        name = signal.Signals(self.received).name
        runner.logger.warning(
            f'{name}: {what} Go on with --resume. Exit code {EXIT_CODE}.'
        )
