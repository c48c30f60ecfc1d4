"""Data workers that leave signals to the run that started them."""

import os
import signal
import threading
from collections.abc import Callable, Sequence

from torch.utils.data import DataLoader


class Shielded:
    """Start of a data worker that heeds signals of its parent alone.

    Schedulers send signals to every process of a job. A worker that ignored SIGTERM
    altogether would outlive the run: at the end that is how Python stops workers,
    and then it waits for them.

    Args:
        worker_init_fn (Callable, optional): what else a worker starts with.
        signals (Sequence[signal.Signals]): what is left to the run.
    """

    def __init__(
        self, worker_init_fn: Callable | None, signals: Sequence[signal.Signals]
    ) -> None:
        self.worker_init_fn, self.signals = worker_init_fn, signals

    def __call__(self, worker_id: int) -> None:
        """Starts the worker.

        Args:
            worker_id (int): Its number.
        """
        if hasattr(signal, 'sigwaitinfo'):  # not on macOS: workers die there
            # blocked in this thread and all that start from here on
            signal.pthread_sigmask(signal.SIG_BLOCK, self.signals)
            threading.Thread(target=self._heed, daemon=True).start()
        if self.worker_init_fn is not None:
            self.worker_init_fn(worker_id)

    def _heed(self) -> None:
        """Takes the signals, and ends the process if the parent sent one."""
        while signal.sigwaitinfo(self.signals).si_pid != os.getppid():
            pass
        os._exit(0)


def shield_workers(loader: DataLoader, signals: Sequence[signal.Signals]) -> None:
    """Has the workers of a loader, yet to be started, leave signals to the run.

    Args:
        loader (DataLoader): The loader, changed in place.
        signals (Sequence[signal.Signals]): The signals.
    """
    loader.worker_init_fn = Shielded(loader.worker_init_fn, signals)


def shield_like(loader: DataLoader, other: DataLoader) -> None:
    """Shields the workers of a loader if those of another one are.

    Args:
        loader (DataLoader): The loader, changed in place.
        other (DataLoader): The other one.
    """
    if isinstance(other.worker_init_fn, Shielded):
        shield_workers(loader, other.worker_init_fn.signals)
