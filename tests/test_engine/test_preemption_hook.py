import os
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from mmxpl.engine import AtomicCheckpointHook, PreemptionHook
from mmxpl.engine.resume import preemption_hook as module


@pytest.fixture
def runner():
    logged = []
    return SimpleNamespace(
        hooks=[AtomicCheckpointHook()],
        world_size=1,
        train_dataloader=SimpleNamespace(worker_init_fn=None),
        val_loop=None,
        logger=SimpleNamespace(warning=logged.append),
        logged=logged,
        optim_wrapper=SimpleNamespace(should_update=lambda: True),
        iter=4,
        epoch=1,
    )


@pytest.fixture
def saved(runner, monkeypatch):
    saves = []
    hook = runner.hooks[0]
    monkeypatch.setattr(hook, 'save_preempted', lambda _, meta: saves.append(meta))
    monkeypatch.setattr(module, 'close_dist', lambda: None)
    return saves


@pytest.mark.parametrize('name', ['SIGTERM', 'SIGUSR1'])
def test_a_signal_is_noted_and_answered_after_the_iteration(runner, saved, name):
    before = signal.getsignal(signal.Signals[name])
    hook = PreemptionHook()
    hook.before_train(runner)
    hook.after_train_iter(runner, 0)
    assert saved == []
    os.kill(os.getpid(), signal.Signals[name])
    with pytest.raises(SystemExit) as end:
        hook.after_train_iter(runner, 0)
    assert end.value.code == 75
    assert saved == [dict(epoch=1, iter=5)]
    hook.after_train(runner)
    assert signal.getsignal(signal.Signals[name]) is before


def test_it_waits_for_the_optimizers_step_and_for_the_interval(runner, saved):
    hook = PreemptionHook(interval=3)
    hook.before_train(runner)
    os.kill(os.getpid(), signal.SIGTERM)
    hook.after_train_iter(runner, 0)  # the fifth
    runner.iter = 5
    runner.optim_wrapper.should_update = lambda: False
    hook.after_train_iter(runner, 0)
    runner.optim_wrapper.should_update = lambda: True
    with pytest.raises(SystemExit):
        hook.after_train_iter(runner, 0)
    hook.after_train(runner)


def test_without_a_hook_that_saves_it_is_refused(runner):
    runner.hooks = []
    with pytest.raises(TypeError, match='AtomicCheckpointHook'):
        PreemptionHook().before_train(runner)


def test_outside_the_main_thread_signals_are_left_alone(runner, saved):
    hook = PreemptionHook()
    thread = threading.Thread(target=hook.before_train, args=(runner,))
    thread.start()
    thread.join()
    assert 'main thread' in runner.logged[0]
    hook.after_train_iter(runner, 0)
    hook.before_val(runner)
    hook.after_train(runner)


WORKER = """
import os, signal, subprocess, sys
from torch.utils.data import DataLoader
from mmxpl.engine.resume.preemption_hook import Shielded

loader = DataLoader(
    range(4),
    num_workers=1,
    persistent_workers=True,
    worker_init_fn=Shielded(None, [signal.SIGTERM, signal.SIGUSR1]),
)
batches = iter(loader)
next(batches)
(worker,) = batches._workers
kill = 'import os, sys; [os.kill(int(sys.argv[1]), int(s)) for s in sys.argv[2:]]'
signals = [str(int(s)) for s in (signal.SIGTERM, signal.SIGUSR1)]
subprocess.run([sys.executable, '-c', kill, str(worker.pid), *signals], check=True)
print(len(list(batches)), worker.is_alive(), flush=True)
# and ends as many runs do: with the worker still there
"""


def test_workers_heed_the_run_alone_and_do_not_outlive_it():
    done = subprocess.run(
        [sys.executable, '-c', WORKER], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ['3', 'True']
