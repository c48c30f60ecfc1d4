"""A Python that has imported PyTorch and mmdet already, for tests that start many.

:class:`WarmPython` makes an executable that is called as ``python`` is: with a script,
``-m`` or ``-c``, in any directory and environment, with its open files. It hands them
to a server, which runs the program in a fork of itself: it starts in milliseconds
instead of seconds, in a process of its own. The programs that it starts with
``sys.executable`` are run in the same way.

What it cannot show: that a program imports what it needs, and what Python's own
options and the variables that it reads at its start do. Tests of those start
``sys.executable``.
"""

import contextlib
import json
import os
import signal
import socket
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_NUMBER = 8  # bytes of a length or an exit status
_ABOVE = 500  # descriptors that a program does not have


class WarmPython:
    """The executable; its server starts when it is first called.

    Args:
        folder (Path): where the executable and its socket are made.
    """

    def __init__(self, folder):
        import shlex
        import threading

        self.path = str(folder / 'python')
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / 'socket'))
        self._listener.listen(64)
        command = [sys.executable, '-IS', __file__, str(folder / 'socket')]
        with open(self.path, 'w') as file:
            file.write(f'#!/bin/sh\nexec {shlex.join(command)} "$0" "$@"\n')
        os.chmod(self.path, 0o755)
        self._server = None
        self._end, end = socket.socketpair()
        self._waiting = threading.Thread(target=self._start, args=(end,), daemon=True)
        self._waiting.start()

    def _start(self, end):
        import select
        import subprocess

        with end:
            if end in select.select([self._listener, end], [], [])[0]:
                return
        self._server = subprocess.Popen(
            [sys.executable, __file__, '--serve', str(self._listener.fileno())],
            env=dict(
                os.environ,
                PYTHONPATH=ROOT,
                OMP_NUM_THREADS='1',
                # so that GPUs can be counted without being of no use to a fork
                PYTORCH_NVML_BASED_CUDA_CHECK='1',
            ),
            stdin=subprocess.PIPE,  # closed by whatever ends this process
            pass_fds=[self._listener.fileno()],
        )

    def close(self):
        """Ends the server."""
        self._end.close()
        self._waiting.join()
        if self._server is not None:
            self._server.terminate()
            self._server.wait()
        self._listener.close()


def call(address, arguments):
    """Has the server run a program, and ends as it did."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    fds = [
        fd
        for fd in map(int, os.listdir('/dev/fd'))
        if fd != connection.fileno() and os.path.exists(f'/dev/fd/{fd}')
    ]
    job = dict(argv=arguments, cwd=os.getcwd(), env=dict(os.environ), fds=fds)
    job = json.dumps(job).encode()
    socket.send_fds(connection, [len(job).to_bytes(_NUMBER, 'big')], fds)
    connection.sendall(job)
    status = connection.recv(_NUMBER)
    if not status:
        sys.exit('the warm Python is gone')
    code = os.waitstatus_to_exitcode(int.from_bytes(status, 'big'))
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def serve(listener):
    """Runs programs until it is killed or standard input ends."""
    import select

    signal.signal(signal.SIGCHLD, _reap)
    while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _look_after(connection)
            os._exit(0)
        connection.close()


def _reap(*_):
    """Takes note of the ends, and the times, of those who looked after programs."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _look_after(connection):
    """Starts a program, says how it ended, and ends it with whoever called it."""
    import threading

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, fds, _, _ = socket.recv_fds(connection, _NUMBER, 250)
    size, job = int.from_bytes(size, 'big'), b''
    while len(job) < size:
        job += connection.recv(size - len(job))
    job = json.loads(job)
    program = os.fork()
    if program == 0:
        connection.close()
        _program(job, fds)
    for fd in (0, 1, 2, *fds):
        os.close(fd)

    def end_with_the_caller():
        if not connection.recv(1):
            os.kill(program, signal.SIGKILL)

    threading.Thread(target=end_with_the_caller, daemon=True).start()
    status = os.waitpid(program, 0)[1]
    connection.sendall(status.to_bytes(_NUMBER, 'big'))


def _program(job, fds):
    """Is the program; never returns."""
    import atexit
    import random
    import runpy
    import threading
    import time
    import traceback
    import types
    from pathlib import Path

    import numpy as np
    import torch

    # first out of the way, then to where the caller had them
    high = [os.dup2(fd, _ABOVE + at) for at, fd in enumerate(fds)]
    for fd in fds:
        os.close(fd)
    for fd, wanted in zip(high, job['fds'], strict=True):
        os.dup2(fd, wanted, inheritable=True)
        os.close(fd)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)
    os.chdir(job['cwd'])
    os.environ.clear()
    os.environ.update(job['env'])
    time.tzset()
    random.seed()
    np.random.seed()
    torch.seed()
    sys.executable, *arguments = job['argv']
    path = os.environ.get('PYTHONPATH', '')
    sys.path[:1] = [p for p in path.split(os.pathsep) if p]
    code = 1
    try:
        while arguments[0] in ('-u', '-B'):
            arguments.pop(0)
        what, *arguments = arguments
        if what in ('-c', '-m'):
            sys.path.insert(0, job['cwd'])
            text, *arguments = arguments
        else:
            sys.path.insert(0, str(Path(what).resolve().parent))
        sys.argv = [what, *arguments]
        if what == '-c':
            sys.modules['__main__'] = main = types.ModuleType('__main__')
            exec(compile(text, '<string>', 'exec'), main.__dict__)
        elif what == '-m':
            runpy.run_module(text, run_name='__main__', alter_sys=True)
        elif what.startswith('-'):
            raise ValueError(f'the warm Python has no option {what}')
        else:
            runpy.run_path(what, run_name='__main__')
        code = 0
    except SystemExit as end:
        code = end.code
        if code is None:
            code = 0
        elif not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
    finally:
        threading._shutdown()
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            if not stream.closed:  # the program may have done so
                stream.flush()
        os._exit(code)


def warm_up():
    """Imports what programs import."""
    import gc
    import importlib

    gc.disable()
    sys.path.remove(os.path.dirname(os.path.abspath(__file__)))
    from mmxpl.registry import register_all_modules

    register_all_modules(init_default_scope=False)
    for name in MODULES:
        importlib.import_module(name)
    # what takes most of a small run's time and is not tested here: the layout of the
    # config's text, a report on the compiler and the commit of the working directory
    from mmengine.runner import runner
    from yapf.yapflib import yapf_api

    yapf_api.FormatCode = lambda text, **_: (text, False)
    runner.collect_env = dict
    runner.get_git_hash = str
    gc.freeze()  # forks need not look at what is here already
    gc.enable()


MODULES = (
    'mmdet.models',
    'mmxpl.engine.runner',
    'torch._dynamo',  # by the first optimizer
    'torch.utils.tensorboard',
    'torchaudio',
    'matplotlib.backends.backend_agg',
    'matplotlib.pyplot',
    'PIL.ImageDraw',
    'PIL.ImageFont',
)

if __name__ == '__main__':
    if sys.argv[1] == '--serve':
        warm_up()
        serve(socket.socket(fileno=int(sys.argv[2])))
    else:
        call(sys.argv[1], sys.argv[2:])
