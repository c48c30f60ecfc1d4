"""Cells of a comparison: a method trained and scored at a labeled fraction and seed."""

import json
import multiprocessing
import os
import runpy
import shlex
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from mmxpl.engine.hooks.area_calibration_hook import restore_thresholds
from mmxpl.utils.checkpoint import read_checkpoint
from mmxpl.utils.cli import prepare_forks
from mmxpl.utils.config_overrides import short_name
from mmxpl.utils.errors import DataError, explain
from mmxpl.visualization.charts import read_run

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Cell:
    """A training and its test."""

    method: str
    labeled: float | None  # labeled fraction in (0, 1]; None for the config's lists
    seed: int

    def __str__(self) -> str:
        """Returns the name on the console."""
        share = '' if self.labeled is None else f' {100 * self.labeled:g} %'
        return f'{self.method}{share} seed {self.seed}'

    def folder(self, out: Path) -> Path:
        """Returns the cell's own folder in the folder of the comparison."""
        share = 'lists' if self.labeled is None else f'labeled{self.labeled:g}'
        name = short_name(self.method).replace('/', '_')
        return out / share / name / f'seed{self.seed}'


def launch(
    command: list[str], log: Path, env: Mapping[str, str], name: str, shown: str = ''
) -> None:
    """Runs a Python command and appends its output to the file ``log``.

    The command is a script, or ``-m`` and a module, with its arguments. It runs in a
    fork of a process that has imported what it needs, which saves seconds, and ends
    with this process. ``env`` is added to this process's environment; ``NICE`` there is
    by how much the command yields to other processes. On the console ``name`` stands
    before the lines that contain ``shown``; there are none if it is empty. If the
    command fails, a DataError has the end of its output.
    """
    print(f'[{name}] python {shlex.join(command)}', flush=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    last: deque[str] = deque(maxlen=21)
    # this checkout, even where another one is installed
    paths = [str(_ROOT), os.environ.get('PYTHONPATH', '')]
    path = os.pathsep.join(p for p in paths if p)
    nice = int(env.get('NICE', 0))
    env = {**os.environ, **env, 'PYTHONUNBUFFERED': '1', 'PYTHONPATH': path}
    context = prepare_forks()
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(command, env, writer, nice))
    process.start()
    writer.close()
    output = os.fdopen(os.dup(reader.fileno()), encoding='utf-8')
    with open(log, 'a', encoding='utf-8') as file, output:
        for line in output:
            file.write(line)
            file.flush()
            last.append(line)
            if shown and shown in line:
                text = line.split(' - ', 3)[-1].strip()
                print(f'[{name}] {text[:150]}', flush=True)
    process.join()
    if process.exitcode:
        raise DataError(f'[{name}] failed, its log is {log}:\n{"".join(last)}')


def _run(
    command: list[str], env: dict[str, str], writer: Connection, nice: int
) -> None:
    """Runs a script or module as the interpreter would, with its output to a pipe."""
    os.nice(nice)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.dup2(writer.fileno(), 1)
    os.dup2(writer.fileno(), 2)
    writer.close()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)
    os.environ.clear()
    os.environ.update(env)
    # PyTorch, imported before, has read another value of the variable
    if threads := env.get('OMP_NUM_THREADS', '').split(',')[0]:
        torch.set_num_threads(int(threads))
    if command[0] == '-m':
        sys.argv = command[1:]
        runpy.run_module(command[1], run_name='__main__', alter_sys=True)
        return
    sys.argv = command
    sys.path[0] = str(Path(command[0]).parent)
    runpy.run_path(command[0], run_name='__main__')


def _end_with_parent() -> None:
    """Ends this process, as a scheduler would, when its parent is no more."""
    multiprocessing.parent_process().join()
    os.kill(os.getpid(), signal.SIGTERM)


def print_failure(cell: Cell, future: Future) -> None:
    """Prints the error that a cell has ended with, if any."""
    if not future.cancelled() and (error := future.exception()):
        text = explain(error) or ''.join(traceback.format_exception(error))
        text = text.removeprefix(f'[{cell}] ')  # of launch
        print(f'[{cell}] {text}', file=sys.stderr, flush=True)


def raise_failures(futures: Mapping[Cell, Future]) -> None:
    """Raises a DataError with the cells that have ended with an error."""
    failed = [cell for cell, future in futures.items() if future.exception()]
    if failed:
        raise DataError(
            f'{len(failed)} of {len(futures)} cells failed, see their errors above: '
            f'{", ".join(map(str, failed))}. The same command tries them again.'
        )


def share_warm_start(checkpoint: Path, folder: Path) -> None:
    """Copies the last checkpoint of a warm-up to a training that resumes from it.

    A ``folder`` with a checkpoint of its own is left as it is. The copy says that there
    is no teacher yet, and its thresholds are not calibrated. The log of the warm-up is
    copied too, for the curves.
    """
    if (folder / 'last_checkpoint').exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    state = read_checkpoint(str(checkpoint), 'cpu')
    state.setdefault('teacher', None)
    restore_thresholds(state)
    lender = checkpoint.parent
    if any(lender.glob('*/vis_data/scalars.json')):
        end = state['meta']['epoch']
        records = [
            record
            for record in read_run(lender)
            # validation logs the epoch as its step; first labels come after the end
            if record.get('epoch', record['step']) <= end
            and not any(key.startswith('pseudo_label/') for key in record)
        ]
        log = folder / '0_warm_up/vis_data/scalars.json'  # the oldest run by its name
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(''.join(json.dumps(record) + '\n' for record in records))
    target = folder / checkpoint.name
    torch.save(state, target)
    (folder / 'last_checkpoint').write_text(str(target))


def difference(kept: dict, asked: dict) -> str:
    """Names the settings that differ between two trainings, five at most."""
    kept, asked = ({**s, **s.get('settings', {})} for s in (kept, asked))
    keys = sorted({*kept, *asked} - {'settings', 'options'})
    named = [
        f'{key}: {kept.get(key)}, now {asked.get(key)}'
        for key in keys
        if kept.get(key) != asked.get(key)
    ]
    more = [f'{len(named) - 5} more'] if len(named) > 5 else []
    return ', '.join([*named[:5], *more])
