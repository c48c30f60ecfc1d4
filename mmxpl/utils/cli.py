"""Arguments, configs and errors of the command-line tools."""

import ctypes
import errno
import gc
import math
import multiprocessing
import os
import re
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction

from .config_overrides import (
    apply_method,
    merge_options,
    method_names,
    read_config,
    refuse_inert_keys,
)
from .config_types import check_settings
from .errors import DataError, explain

# shows tracebacks of all errors
DEBUG = 'MMXPL_DEBUG'
# that is read from the environment, by configs but for the first
VARIABLES = {
    DEBUG,
    'MMXPL_CACHE',
    'MMXPL_DATA_ROOT',
    'MMXPL_FLICKR_ROOT',
    'MMXPL_IS3_ROOT',
    'MMXPL_MUSIC_ROOT',
    'MMXPL_PRETRAINED',
    'MMXPL_RESNET18',
}


def _keep_freed_memory() -> None:
    """Has glibc keep freed memory for the next tensors.

    It would give it back to the system and get it again page by page, zeroed, a tenth
    of a step's time. Blocks above 32 MiB still go back: they would leave gaps. See
    mallopt(3).
    """
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is not None:  # other C libraries have none
        mallopt(-3, 2**25)  # M_MMAP_THRESHOLD
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


# the user's own settings stay
_MALLOC = {'MALLOC_MMAP_THRESHOLD_', 'MALLOC_TRIM_THRESHOLD_'}
if os.name == 'posix' and not _MALLOC & os.environ.keys():
    _keep_freed_memory()

_CONFIG_SUFFIXES = ('.py', '.yml', '.yaml', '.json')

# eleven characters of YouTube, and perhaps the second that a clip begins at
_VIDEO_ID = re.compile(r'[\w-]{11}(_\d{6})?')


class OptionAction(DictAction):
    """Parses ``KEY=VALUE`` pairs and refuses other values."""

    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Adds the pairs to the namespace."""
        for value in values:
            if '=' not in value:
                parser.error(f"--cfg-options: '{value}' is not KEY=VALUE")
        super().__call__(parser, namespace, values, option_string)


def number_in(
    low: float, high: float = math.inf, kind: type[int] | type[float] = int
) -> Callable[[str], float]:
    """Makes the ``type`` of an argument that is a number from ``low`` to ``high``.

    Other values end the tool with an error that names option, range and value.
    """
    span = f'at least {low}' if high == math.inf else f'from {low} to {high}'
    span = f'a {"whole " if kind is int else ""}number, {span}'

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high or value == math.inf:
            raise ArgumentTypeError(f"must be {span}, got '{text}'")
        return value

    return parse


def refuse_doubles(parser: ArgumentParser, option: str, values: Sequence[Any]) -> None:
    """Ends a tool whose argument was given the same value twice."""
    for n, value in enumerate(values):
        if value in values[:n]:
            parser.error(f'{option}: {value} is given twice')


def add_config_options(parser: ArgumentParser) -> None:
    """Adds ``--cfg-options`` to a parser."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionAction,
        metavar='KEY=VALUE',
        help='override settings of the config. A key is dotted, with indices for '
        'lists (param_scheduler.0.num_steps=20), and must be in the config or an '
        'argument of the class that its part of the config builds. A list is written '
        'key="[a,b]" or key=a,b, without white space.',
    )


def add_method(parser: ArgumentParser) -> None:
    """Adds ``--method`` to a parser."""
    parser.add_argument(
        '--method',
        metavar='NAME|FILE',
        help='make the config that of another method: a name of configs/methods, such '
        'as supcon or dmt, or a file like those (default: as the config has it)',
    )


def add_launcher(parser: ArgumentParser) -> None:
    """Adds ``--launcher`` and the argument that some launchers pass."""
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what started the processes (default: none, a single process)',
    )
    parser.add_argument(
        '--local_rank',
        '--local-rank',
        type=int,
        default=0,
        help='set by launchers that do not set LOCAL_RANK',
    )


def export_local_rank(args: Namespace) -> None:
    """Sets LOCAL_RANK, which MMEngine reads, to the launcher's local rank."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))


def load_config(
    path: str,
    options: dict[str, Any] | None = None,
    method: str | None = None,
    needs: Sequence[str] = (),
    amp: bool = False,
) -> Config:
    """Reads a config and merges a method and options from the command line.

    Args:
        path (str): the config file.
        options (dict, optional): parsed ``--cfg-options``.
        method (str, optional): a method, merged before the options; see
            :func:`~.config_overrides.apply_method`.
        needs (Sequence[str]): top-level keys that the tool reads.
        amp (bool): whether the tool will turn on mixed precision, see
            :func:`~.config_overrides.merge_options`.

    Returns:
        Config: the config, with ``mmxpl`` as default scope if it sets none.

    Raises:
        DataError: If the file does not exist, is no config or a method, or lacks a key;
            if a method or an option is unknown, or a setting has a wrong type where
            there are options; or if a key of the file looks like a setting and is none.
    """
    if not Path(path).is_file():
        raise DataError(f"config '{path}' does not exist.")
    if Path(path).suffix not in _CONFIG_SUFFIXES:
        raise DataError(
            f"'{path}' is no config: {', '.join(_CONFIG_SUFFIXES[:-1])} or "
            f'{_CONFIG_SUFFIXES[-1]}.'
        )
    cfg = read_config(path)
    if 'method' in cfg and 'type' not in (cfg.get('model') or {}):
        name = Path(path).stem if Path(path).stem in method_names() else path
        raise DataError(
            f"'{path}' is a method, not a config: give a config and --method {name}."
        )
    _refuse_lacking(cfg, path, needs)
    refuse_inert_keys(cfg, path)
    _warn_of_variables(cfg)
    cfg.setdefault('default_scope', 'mmxpl')
    if method:
        apply_method(cfg, method)
    if options:
        merge_options(cfg, options, amp)
        check_settings(cfg)
        _refuse_lacking(cfg, path, needs)
    return cfg


def _refuse_lacking(cfg: Config, path: str, needs: Sequence[str]) -> None:
    lacking = [key for key in needs if not cfg.get(key)]
    if lacking:
        raise DataError(
            f"config '{path}' lacks {' and '.join(lacking)}: give a whole config, or "
            'one with such a config as _base_.'
        )


def _warn_of_variables(cfg: Config) -> None:
    """Warns of variables of the environment that look like settings and are not."""
    for name in sorted({*os.environ} - {*VARIABLES, *cfg.env_variables}):
        if name.startswith('MMXPL_'):
            meant = get_close_matches(name, sorted(VARIABLES), 1)
            hint = f'; did you mean {meant[0]}?' if meant else '.'
            print(
                f'warning: {name} in the environment is not read{hint}', file=sys.stderr
            )


def set_work_dir(cfg: Config, config_path: str, work_dir: str | None) -> None:
    """Sets the work directory: command line, else config, else ``./work_dirs/NAME``."""
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs', Path(config_path).stem))


def check_output(path: str, option: str) -> None:
    """Checks, before any work, that the file that an option names can be written.

    Raises a DataError if it cannot.
    """
    if Path(path).is_dir():
        raise DataError(f"{option}: '{path}' is a folder. Name a file.")
    folder = next(p for p in Path(path).absolute().parents if p.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise DataError(
            f"{option}: '{path}' cannot be written, '{folder}' is not a writable "
            'folder. Name another.'
        )


def make_folder(path: str | Path, option: str) -> None:
    """Makes the output folder that an option names, or keeps one, before any work.

    Raises a DataError if it cannot be made or written to.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise DataError(
            f"{option}: '{path}' cannot be written to ({error.strerror}). Give another "
            f'{option}.'
        ) from error


@contextmanager
def quick_start() -> Iterator[None]:
    """Imports and builds without Python's collector of cyclic garbage.

    It would go through all objects of the libraries again and again, a fifth of a
    start. It never looks at what exists at the end, so that processes forked later
    share that memory.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()


def prepare_forks() -> BaseContext:
    """Starts a process that imports what trainings and tests need, in the background.

    The context that is returned makes processes by forking it, which saves seconds.
    """
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(
        [
            'mmxpl.comparison',
            'mmxpl.apis',
            'mmxpl.engine.runner',
            'mmdet.models',
            'torch._dynamo',  # by the first optimizer
        ]
    )
    forkserver.ensure_running()
    return context


class IdParser(ArgumentParser):
    """Parser whose values may be ids with a leading dash, such as YouTube's.

    An argument with a leading dash is a value unless it is an option of the parser or
    the abbreviation of one.
    """

    def _parse_optional(self, arg_string: str) -> Any:
        """Distinguishes options from values."""
        name = arg_string.split('=', 1)[0]
        known = any(
            option == name or (name[:2] == '--' and option.startswith(name))
            for option in self._option_string_actions
        )
        looks_like_an_id = name[:2] != '--' or _VIDEO_ID.fullmatch(name)
        if not known and arg_string != '--' and looks_like_an_id:
            return None
        return super()._parse_optional(arg_string)


@contextmanager
def one_clear_error() -> Iterator[None]:
    """Turns errors that the user can remedy into one message and exit code 2.

    See :func:`~.errors.explain`. All other errors, and with ``MMXPL_DEBUG=1`` in the
    environment every error, pass with their traceback.
    """
    try:
        yield
    except Exception as error:
        message = explain(error)
        if message is None or os.environ.get(DEBUG, '0') not in ('', '0'):
            raise
        # names of files may hold bytes that are no text
        text = f'error: {message}'.encode(errors='backslashreplace').decode()
        print(text, file=sys.stderr)
        raise SystemExit(2) from error
