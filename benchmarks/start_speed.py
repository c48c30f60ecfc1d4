"""Measures what a training takes to the end of its first step."""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
LIBRARIES = 'import torch._dynamo, mmengine.runner; print("Epoch(train)")'


def start(*command: str) -> tuple[float, float]:
    """Runs Python until it prints its first step.

    Args:
        *command (str): The arguments.

    Returns:
        tuple[float, float]: Seconds that passed, and seconds of CPU of the process.
    """
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={'PYTHONPATH': str(ROOT), **os.environ, 'PYTHONUNBUFFERED': '1'},
    ) as process:
        said = []
        for line in process.stdout:
            said.append(line)
            if 'Epoch(train)' in line:
                break
        else:
            raise SystemExit(''.join(said))
        passed = time.perf_counter() - began
        process.send_signal(signal.SIGKILL)
        used = os.wait4(process.pid, 0)[2]
        process.returncode = -signal.SIGKILL
    return passed, used.ru_utime + used.ru_stime


def main() -> None:
    """Compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--config', default='configs/xpl/xpl_synthetic.py')
    parser.add_argument('--repeats', type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work_dir:
        train = ['tools/train.py', args.config, '--work-dir', work_dir]
        train += ['--cfg-options', 'default_hooks.logger.interval=1']
        cases = {'first step': train, 'import of torch and mmengine': ['-c', LIBRARIES]}
        found = {name: [] for name in cases}
        for _ in range(args.repeats):
            for name, command in cases.items():
                found[name].append(start(*command))
    print(f'{"median of " + str(args.repeats):<30} {"wall":>8} {"CPU":>8}')
    for name, times in found.items():
        passed, used = (median(values) for values in zip(*times, strict=True))
        print(f'{name:<30} {passed:6.2f} s {used:6.2f} s')


if __name__ == '__main__':
    main()
