"""One cell of a comparison: a method at a labeled fraction and a seed."""

import json
import multiprocessing
import os
import runpy
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TextIO

from mmengine.config import Config

from mmxpl.utils.errors import DataError
from mmxpl.utils.files import write_atomically

from .warm_start import share_warm_start

_FINISHED = 'finished.json'
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Cell:
    """A training and its test.

    Args:
        method (str): name of the method.
        labeled (float | None): labeled fraction; none for the config's lists.
        seed (int): the seed.
    """

    method: str
    labeled: float | None
    seed: int

    def __str__(self) -> str:
        """What the console calls it."""
        share = '' if self.labeled is None else f' {100 * self.labeled:g} %'
        return f'{self.method}{share} seed {self.seed}'

    def folder(self, out: Path) -> Path:
        """Where it is kept.

        Args:
            out (Path): folder of the comparison.

        Returns:
            Path: its own folder.
        """
        share = 'lists' if self.labeled is None else f'labeled{self.labeled:g}'
        return out / share / self.method.replace('/', '_') / f'seed{self.seed}'


def launch(
    command: list[str], log: Path, env: Mapping[str, str], name: str, shown: str = ''
) -> None:
    """Runs a Python command and writes all it says to a file.

    A script runs in a fork of a process that has imported all it needs, which takes
    seconds anew each time; anything else in an interpreter of its own.

    Args:
        command (list[str]): arguments of the interpreter.
        log (Path): file that its output is added to.
        env (Mapping[str, str]): environment variables beside this process's.
        name (str): what the console calls it.
        shown (str): lines that contain it are shown.

    Raises:
        DataError: with the end of what it said, if it fails.
    """
    print(f'[{name}] python {shlex.join(command)}', flush=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    last: list[str] = []
    # this checkout, even where another one is installed
    paths = [str(_ROOT), os.environ.get('PYTHONPATH', '')]
    path = os.pathsep.join(p for p in paths if p)
    env = {**os.environ, **env, 'PYTHONUNBUFFERED': '1', 'PYTHONPATH': path}
    start = _start_fork if command[0].endswith('.py') else _start_interpreter
    output, wait = start(command, env)
    with open(log, 'a', encoding='utf-8') as file, output:
        for line in output:
            file.write(line)
            file.flush()
            last = [*last[-20:], line]
            if shown and shown in line:
                text = line.split(' - ', 3)[-1].strip()
                print(f'[{name}] {text[:150]}', flush=True)
    if wait():
        raise DataError(f'[{name}] failed, its log is {log}:\n{"".join(last)}')


def _start_interpreter(
    command: list[str], env: Mapping[str, str]
) -> tuple[TextIO, Callable[[], int]]:
    """Starts an interpreter; gives its output and what waits for its exit status."""
    process = subprocess.Popen(
        [sys.executable, *command],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return process.stdout, process.wait


def _start_fork(
    command: list[str], env: Mapping[str, str]
) -> tuple[TextIO, Callable[[], int]]:
    """Starts a script in a fork of the server that has imported everything."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['mmxpl.comparison.preload'])
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_run_script, args=(command, dict(env), writer))
    process.start()
    writer.close()

    def wait() -> int:
        process.join()
        return process.exitcode

    return os.fdopen(os.dup(reader.fileno()), encoding='utf-8'), wait


def _run_script(command: list[str], env: dict[str, str], writer: Connection) -> None:
    """Runs a script as the interpreter would, its output into a pipe."""
    os.dup2(writer.fileno(), 1)
    os.dup2(writer.fileno(), 2)
    writer.close()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)
    os.environ.clear()
    os.environ.update(env)
    import torch

    # the variable is read when PyTorch is imported, and it was
    torch.set_num_threads(int(env.get('OMP_NUM_THREADS', torch.get_num_threads())))
    sys.argv = command
    sys.path[0] = str(Path(command[0]).parent)
    runpy.run_path(command[0], run_name='__main__')


def train_cell(
    cell: Cell,
    config: Path,
    overlay: str,
    options: Mapping[str, Any],
    settings: Mapping[str, Any],
    out: Path,
    env: Mapping[str, str],
    warm_start: Path | None = None,
    processes: int = 1,
    amp: bool = False,
) -> float:
    """Trains a cell, unless that was finished before.

    An interrupted training goes on from its last checkpoint.

    Args:
        cell (Cell): the cell.
        config (Path): config file.
        overlay (str): name or file of the method.
        options (Mapping[str, Any]): ``--cfg-options`` of the training.
        settings (Mapping[str, Any]): what the config and they amount to, by dotted
            key; see :func:`~.methods.settings_of`.
        out (Path): folder of the comparison.
        env (Mapping[str, str]): environment variables of the command.
        warm_start (Path, optional): checkpoint to go on from; see
            :func:`~.warm_start.share_warm_start`.
        processes (int): processes that train together.
        amp (bool): whether to train in mixed precision.

    Returns:
        float: seconds of the command that finished it, without a shared warm-up.

    Raises:
        DataError: if the command fails, or if the folder holds a cell that was
            trained with other settings.
    """
    folder = cell.folder(out)
    finished = folder / _FINISHED
    made_of = dict(
        config=config.name, settings=dict(settings), processes=processes, amp=amp
    )
    made_of = json.loads(json.dumps(made_of, default=str))
    if finished.exists():
        kept = json.loads(finished.read_text())
        if kept['made_of'] != made_of:
            raise DataError(
                f'{finished}: was made with other settings than are asked for now '
                f'({_difference(kept["made_of"], made_of)}): give another --out, or '
                f'remove {folder}.'
            )
        print(f'[{cell}] was trained before', flush=True)
        return kept['seconds']
    if warm_start is not None:
        share_warm_start(warm_start, folder)
    command = [str(_ROOT / 'tools/train.py'), str(config), '--method', overlay]
    command += ['--work-dir', str(folder), '--resume', *(['--amp'] if amp else [])]
    command += _as_arguments(options)
    if processes > 1:
        run = ['-m', 'torch.distributed.run', '--standalone']
        run += [f'--nproc_per_node={processes}']
        command = [*run, *command, '--launcher', 'pytorch']
    start = time.time()
    launch(command, folder / 'log.txt', env, str(cell), shown='Epoch(val)')
    seconds = time.time() - start
    record = json.dumps(dict(made_of=made_of, seconds=seconds), indent=1)
    write_atomically(finished, record.encode())
    return seconds


def score_cell(
    cell: Cell,
    config: Path,
    split: str,
    options: Mapping[str, Any],
    out: Path,
    env: Mapping[str, str],
) -> dict[str, float]:
    """Scores the last checkpoint of a trained cell, unless that was done before.

    No score chooses the checkpoint.

    Args:
        cell (Cell): the cell.
        config (Path): config file of the method.
        split (str): name of what is scored, for files.
        options (Mapping[str, Any]): dotted keys that make it be read.
        out (Path): folder of the comparison.
        env (Mapping[str, str]): environment variables of the command.

    Returns:
        dict[str, float]: what the test printed, by key.

    Raises:
        DataError: if the command fails.
    """
    folder = cell.folder(out)
    scores = folder / f'scores_{split}.json'
    if scores.exists():
        return json.loads(scores.read_text())
    checkpoint = (folder / 'last_checkpoint').read_text().strip()
    # the config as it was trained, options included
    cfg = Config.fromfile(folder / config.name)
    cfg.merge_from_dict(dict(options))
    tested, test_dir = folder / f'{config.stem}_{split}.py', folder / f'test_{split}'
    cfg.dump(tested)
    command = [str(_ROOT / 'tools/test.py'), str(tested), checkpoint]
    command += ['--work-dir', str(test_dir)]
    launch(command, folder / 'log.txt', env, f'{cell}, {split}')
    newest = max(test_dir.glob('*/*.json'), key=lambda path: path.parent.name)
    found = json.loads(newest.read_text())
    write_atomically(scores, json.dumps(found, indent=1).encode())
    return found


def _as_arguments(options: Mapping[str, Any]) -> list[str]:
    """Writes options as the tools take them."""
    if not options:
        return []
    return ['--cfg-options', *(f'{k}={_text(v)}' for k, v in options.items())]


def _text(value: Any) -> str:
    """Writes a value as MMEngine's DictAction reads it."""
    if isinstance(value, list | tuple):
        return '[' + ','.join(_text(v) for v in value) + ']'
    return str(value)


def _difference(kept: dict, asked: dict) -> str:
    """Names what differs between the settings of two trainings, a few at most."""
    flat = [{**s, **s.get('settings', {})} for s in (kept, asked)]
    keys = {*flat[0], *flat[1]} - {'settings', 'options'}
    keys = sorted(k for k in keys if flat[0].get(k) != flat[1].get(k))
    named = [f'{k}: {flat[0].get(k)}, now {flat[1].get(k)}' for k in keys[:5]]
    return ', '.join([*named, *([f'{len(keys) - 5} more'] if len(keys) > 5 else [])])
