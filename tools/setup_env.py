"""Installs mmxpl and all that it needs into an environment of its own.

Run by ``make env``, with any Python from 3.10 on; uses the standard library
alone. It can be interrupted and run again. An environment that it did not make is
never touched: there, install with pip as the README says.
"""

from __future__ import annotations  # for the check of Python's version below

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / 'requirements' / 'tested.txt'
EXTRAS = 'onedl,tensorboard,test,dev'
# in the environment's folder, says that this script made it
MARKER = '.made-by-mmxpl'
DISABLED = '.disabled'
STEPS = 5
START = time.monotonic()


class SetupError(Exception):
    """Reason to stop, as a message for the user."""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--venv', type=Path, default=ROOT / '.venv', metavar='DIR')
    parser.add_argument('--torch', default='2.13.0', metavar='VERSION')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Makes the environment or brings it up to date."""
    args = parse_args(argv)
    # not resolved further: .../bin/python is a link out of the environment
    venv = args.venv.absolute()
    step(1, f'environment {venv}')
    python = make_environment(venv)
    step(2, f'PyTorch {args.torch}')
    pip(python, f'torch=={args.torch}')
    step(3, f'mmxpl[{EXTRAS}]')
    # PyTorch's version is named again so that no requirement replaces it
    pip(python, f'torch=={args.torch}', '-e', f'{ROOT}[{EXTRAS}]')
    step(4, 'torchaudio')
    # without its dependencies: they name no PyTorch release, and it is there
    pip(python, '--no-deps', 'torchaudio')
    check_torchaudio(python)
    step(5, 'what there is now')
    run(python, '-m', 'mmxpl.utils.collect_env')
    print(f'Set up in {time.monotonic() - START:.0f} s.', flush=True)


def step(number: int, what: str) -> None:
    """Prints which step begins, and the time since the start."""
    elapsed = time.monotonic() - START
    print(f'[{number}/{STEPS}, {elapsed:.0f} s] {what}', flush=True)


def make_environment(venv: Path) -> Path:
    """Makes a virtual environment, or completes one that this script began.

    Returns its interpreter. A SetupError says that the folder holds anything that this
    script did not make.
    """
    if sys.version_info < (3, 10):  # noqa: UP036  any Python may run this script
        raise SetupError(
            f'Python 3.10 or newer is needed, this is {sys.version.split()[0]}: '
            'make env PYTHON=python3.11'
        )
    marker = venv / MARKER
    empty = not venv.exists() or (venv.is_dir() and not any(venv.iterdir()))
    if not empty and not marker.exists():
        raise SetupError(
            f'{venv} exists and was not made by this script, so it is left as it is. '
            'Remove it, choose another folder (make env VENV=FOLDER), or install into '
            'it yourself: see README.md.'
        )
    venv.mkdir(parents=True, exist_ok=True)
    marker.touch()
    python = venv / 'bin' / 'python'
    if not works(python):
        # what an interruption left; the marker goes last, should that happen again
        for item in venv.iterdir():
            if item != marker:
                shutil.rmtree(item) if item.is_dir() else item.unlink()
        run(Path(sys.executable), '-m', 'venv', str(venv))
    return python


def works(python: Path) -> bool:
    """Tells whether an environment's interpreter and pip run."""
    try:
        command = [python, '-m', 'pip', '--version']
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


def pip(python: Path, *what: str) -> None:
    """Installs packages, at the releases that the constraints pin."""
    options = ['--disable-pip-version-check', '--constraint', str(CONSTRAINTS)]
    if not sys.stdout.isatty():
        options.append('--quiet')
    run(python, '-m', 'pip', 'install', *options, *what)


def run(python: Path, *arguments: str) -> None:
    """Runs a command and stops if it fails.

    Raises:
        SetupError: If the command fails.
    """
    # a variable of the caller could let another environment's packages in
    env = {k: v for k, v in os.environ.items() if k not in ('PYTHONPATH', 'PYTHONHOME')}
    if subprocess.run([python, *arguments], env=env, cwd=ROOT).returncode != 0:
        raise SetupError(f'failed: {python} {" ".join(arguments)}')


def check_torchaudio(python: Path) -> None:
    """Takes torchaudio's native library out of the way if only that is at fault.

    The library must have been built for the CUDA version of the installed PyTorch and
    refuses to load beside another; the transforms need none of it. A SetupError says
    that torchaudio cannot be imported for another reason.
    """
    library = torchaudio_library(python)
    # another PyTorch may have been installed since
    for path in library.glob(f'*{DISABLED}'):
        path.rename(path.with_suffix(''))
    error = import_error(python)
    if error is None:
        print('torchaudio imports, with its native library.')
        return
    native = [path for path in library.iterdir() if path.suffix == '.so']
    for path in native:
        path.rename(f'{path}{DISABLED}')
    if not native or import_error(python) is not None:
        for path in native:
            Path(f'{path}{DISABLED}').rename(path)
        raise SetupError(f'torchaudio cannot be imported: {error}')
    print(
        f"torchaudio's native library does not fit this PyTorch ({error}). Its "
        f'{len(native)} files in {library} now end in {DISABLED}; the transforms do '
        'not need them.'
    )


def torchaudio_library(python: Path) -> Path:
    """Finds the folder of torchaudio's native library without importing it."""
    code = 'import importlib.util as u; print(u.find_spec("torchaudio").origin, end="")'
    result = subprocess.run(
        [python, '-I', '-c', code], capture_output=True, text=True, check=True
    )
    return Path(result.stdout).parent / 'lib'


def import_error(python: Path) -> str | None:
    """Tries to import torchaudio; returns the last line of the traceback, if any."""
    result = subprocess.run(
        [python, '-I', '-c', 'import torchaudio.transforms'],
        capture_output=True,
        text=True,
    )
    if result.returncode == 0:
        return None
    return (result.stderr.strip().splitlines() or ['no message'])[-1]


if __name__ == '__main__':
    try:
        main()
    except SetupError as error:
        sys.exit(f'error: {error}')
    except KeyboardInterrupt:
        sys.exit('\ninterrupted; run it again to go on')
