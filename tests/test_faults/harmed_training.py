"""A training that reports its events and is harmed as told.

Arguments: the job in JSON (``argv`` of tools/train.py, ``log``, a folder for what the
run does, ``ranks``, and ``fault``, a pair of a kind and the number of the event at
which it strikes), the rank and a free port.

An event is a point where a run may end: ``step`` before and after each training
step, ``scoring`` for each batch of the scoring pass, ``validation`` for each
validation batch, and ``writing`` for several points of every file written.
"""

import errno
import hashlib
import importlib.util
import json
import locale
import os
import pickle
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch

from mmxpl.utils import cli

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 300  # seconds


class Events:
    """Counts and writes down what happens, and strikes."""

    def __init__(self, path, fault):
        self.file = open(path, 'a', buffering=1)  # noqa: SIM115
        self.kind, self.number = fault or (None, None)
        self.count = 0

    def __call__(self, phase, **facts):
        self.count += 1
        self.file.write(json.dumps([phase, self.count, facts]) + '\n')
        if self.count == self.number:
            strike(self.kind)


def strike(kind):
    """Does the harm."""
    if kind == 'kill':
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind in ('SIGTERM', 'SIGUSR1', 'SIGSTOP'):
        os.kill(os.getpid(), signal.Signals[kind])
    elif kind == 'enospc':
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    elif kind == 'kill worker':
        os.kill(children()[0], signal.SIGKILL)
    elif kind == 'SIGTERM to all':
        processes = (*children(), os.getpid())
        # from a third process: workers heed what the run itself sends
        scheduler = os.fork()
        if not scheduler:
            for process in processes:
                os.kill(process, signal.SIGTERM)
            os._exit(0)
        os.waitpid(scheduler, 0)
        time.sleep(0.2)
    elif kind == 'remove frames':
        for path in Path(os.environ['MMXPL_DATA_ROOT'], 'frames').iterdir():
            path.unlink()
    elif kind == 'clock':
        real = time.time
        time.time = lambda: real() - 1e8
    elif kind == 'nan':
        with torch.no_grad():
            next(Run.runner.model.parameters()).fill_(float('nan'))
    else:
        raise ValueError(kind)


def children():
    """Process ids of the data workers."""
    me = os.getpid()
    return [int(n) for n in Path(f'/proc/{me}/task/{me}/children').read_text().split()]


def digest_of_generators():
    """Fingerprint of the states of all generators."""
    state = pickle.dumps((random.getstate(), np.random.get_state()))
    return hashlib.sha256(state + torch.get_rng_state().numpy().tobytes()).hexdigest()


class Run:
    """The runner of this process."""

    runner = None


def watch(events):
    """Has a training report its events."""
    from mmengine.runner import Runner, ValLoop

    from mmxpl.engine.hooks import CrossPseudoLabelHook, area_calibration_hook
    from mmxpl.engine.resume import loop
    from mmxpl.utils import files

    def wrap(owner, name, before=None, after=None):
        inner = getattr(owner, name)

        def wrapped(self, *args, **kwargs):
            if before:
                before(self)
            result = inner(self, *args, **kwargs)
            if after:
                after(self, result)
            return result

        setattr(owner, name, wrapped)

    wrap(Runner, 'train', before=lambda self: setattr(Run, 'runner', self))
    wrap(
        loop.ResumableTrainLoop,
        'run_iter',
        before=lambda self: events(
            'step', iter=self.iter, random=digest_of_generators(), epoch=self.epoch
        ),
        after=lambda self, _: events('step', iter=self.iter, epoch=self.epoch),
    )
    wrap(ValLoop, 'run_iter', before=lambda self: events('validation'))
    wrap(ValLoop, 'run', after=lambda self, metrics: report_metrics(metrics))

    def report_metrics(metrics):
        events('validated', epoch=Run.runner.epoch, metrics=metrics)

    def scored(self, runner):
        inner, self._remember = self._remember, remember
        remember.inner = inner
        score(self, runner)
        del self._remember

    def remember(*args):
        events('scoring')
        return remember.inner(*args)

    score, CrossPseudoLabelHook._scoring_pass = (
        CrossPseudoLabelHook._scoring_pass,
        scored,
    )

    def calibrating(*args, **kwargs):
        for batch in ordered_pass(*args, **kwargs):
            events('calibration')
            yield batch

    ordered_pass = area_calibration_hook.ordered_pass
    area_calibration_hook.ordered_pass = calibrating

    class Os:
        """The module os, with events."""

        def __getattr__(self, name):
            return getattr(os, name)

        def fsync(self, handle):
            events('writing')
            os.fsync(handle)

        def replace(self, source, target):
            events('writing')
            os.replace(source, target)
            events('writing')

    class Slow:
        """A file that is written in parts."""

        def __init__(self, path, mode):
            self.file = open(path, mode, buffering=0)  # noqa: SIM115

        def __enter__(self):
            events('writing')
            return self

        def __exit__(self, *error):
            self.file.close()

        def __getattr__(self, name):
            return getattr(self.file, name)

        def write(self, content):
            half = len(content) // 2
            self.file.write(content[:half])
            events('writing')
            self.file.write(content[half:])

    files.os, files.open = Os(), Slow


def train(job, rank, port):
    """Trains."""
    log = Path(job['log'])
    signal.alarm(LIMIT)  # what hangs fails
    if 'locale' in job:
        locale.setlocale(locale.LC_ALL, job['locale'])
    if job.get('ranks', 1) > 1:
        os.environ.update(
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            WORLD_SIZE=str(job['ranks']),
            MASTER_ADDR='127.0.0.1',
            MASTER_PORT=str(port),
        )
    fault = job.get('fault')
    if fault and rank not in job.get('struck', [rank]):
        fault = None
    path = log / f'events{rank}.jsonl'
    path.unlink(missing_ok=True)
    watch(Events(path, fault))
    if limit := job.get('max_file_size'):
        import resource

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    sys.argv = ['train.py', *job['argv']]
    spec = importlib.util.spec_from_file_location('train_tool', ROOT / 'tools/train.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    with cli.one_clear_error():
        tool.main()
    (log / f'generators{rank}.txt').write_text(digest_of_generators())


if __name__ == '__main__':
    train(json.loads(sys.argv[1]), *map(int, sys.argv[2:]))
