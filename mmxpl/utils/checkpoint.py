"""Safe reading of checkpoints and of the configs in them."""

import ast
import os
import pickle
import re
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import TRANSFORMS as ROOT_TRANSFORMS
from mmengine.runner import CheckpointLoader
from mmengine.runner import checkpoint as mmengine_checkpoint

from .checks import nonfinite_entries
from .errors import DataError
from .nested import walk

# the log, and pseudo-labels, which the bank refuses with the ids of the clips
_MAY_BE_NAN = ('message_hub', 'pseudo_label_bank')
_OPT_OUT = 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'
_LOCK = threading.Lock()


def load_weights_only() -> None:
    """Makes every checkpoint of this process load with ``weights_only=True``.

    Some releases of MMEngine load any pickle. Local files are read by
    :func:`read_checkpoint`; for other sources PyTorch's switch is set, and MMEngine's
    list of allowed classes is narrowed. PyTorch's opposite switch,
    ``TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1``, is obeyed, for trusted files. Tools call
    this function; importing mmxpl changes nothing.
    """
    if os.environ.get(_OPT_OUT, '0').lower() in {'1', 'y', 'yes', 'true'}:
        return
    os.environ['TORCH_FORCE_WEIGHTS_ONLY_LOAD'] = '1'

    # MMEngine prints the end of this name as the kind of source
    def load_from_local(filename: str, map_location: Any) -> dict[str, Any]:
        return read_checkpoint(filename, map_location)

    CheckpointLoader.register_scheme('', load_from_local, force=True)
    if hasattr(mmengine_checkpoint, 'get_torch_safe_globals'):
        mmengine_checkpoint.get_torch_safe_globals = _allowed_globals


def read_checkpoint(
    filename: str, map_location: str | torch.device | Callable | None = None
) -> dict[str, Any]:
    """Reads a checkpoint of tensors, plain Python values and log history.

    In the name ``~`` is expanded; ``map_location`` is as for ``torch.load``. A
    DataError says that the file does not exist, is no checkpoint or damaged, or holds
    objects that could run code, or NaN or infinite values.
    """
    path = Path(filename).expanduser()
    if path.is_dir():
        raise DataError(f"checkpoint '{filename}' is a folder: name a file in it.")
    if not path.is_file():
        raise DataError(f"checkpoint '{filename}' does not exist.")
    damaged = damaged_part(path)
    if damaged:
        raise DataError(
            f"checkpoint '{filename}' is damaged: the checksum of '{damaged}' inside "
            'it is wrong. Use another one, or copy it again.'
        )
    try:
        with _safe_globals():
            checkpoint = torch.load(path, map_location, weights_only=True)
    except Exception as error:  # any error of a damaged file
        refused = isinstance(error, pickle.UnpicklingError)
        found = re.search(r'GLOBAL (\S+)', str(error)) if refused else None
        if found:
            raise DataError(
                f"checkpoint '{filename}' holds a '{found[1]}', not weights and plain "
                'values alone; such objects can run code when they are read. Save it '
                f'again as tensors, or, if you trust the file, set {_OPT_OUT}=1.'
            ) from error
        reason = '' if refused else f' ({(str(error) or repr(error)).splitlines()[0]})'
        raise DataError(
            f"checkpoint '{filename}' cannot be read, it is damaged or no PyTorch "
            f'checkpoint{reason}.'
        ) from error
    if not isinstance(checkpoint, dict):
        raise DataError(
            f"checkpoint '{filename}' holds a {type(checkpoint).__name__}, not a "
            'dict of weights.'
        )
    parts = {k: v for k, v in checkpoint.items() if k not in _MAY_BE_NAN}
    bad = list(nonfinite_entries(parts))
    if bad:
        raise DataError(
            f"checkpoint '{filename}' holds NaN or infinite values in {len(bad)} "
            f'tensors, such as {bad[0]}. Use an earlier one.'
        )
    return checkpoint


def read_meta(filename: str | Path) -> tuple[dict[str, Any], bool]:
    """Reads the ``meta`` of a local checkpoint without its tensors.

    Also returns whether a run can be resumed from it, which needs more than weights. A
    DataError says that this part of the file is damaged, or that it is no checkpoint.
    """
    try:
        with zipfile.ZipFile(filename) as archive:
            for name in archive.namelist():
                if name.endswith('/data.pkl'):
                    archive.read(name)  # which checks it
        # memory-mapped, so that tensors are not read
        with _safe_globals():
            checkpoint = torch.load(filename, 'cpu', weights_only=True, mmap=True)
        return dict(checkpoint.get('meta') or {}), 'optimizer' in checkpoint
    except Exception as error:  # whatever damage can lead to
        raise DataError(f"checkpoint '{filename}' cannot be read.") from error


@contextmanager
def _safe_globals() -> Iterator[None]:
    """Allows the classes in checkpoints, for one thread at a time.

    PyTorch has one list for the process, which the first thread to leave would empty.
    """
    with _LOCK, torch.serialization.safe_globals(_allowed_globals()):
        yield


def damaged_part(filename: str | Path) -> str | None:
    """Checks the checksums of a local checkpoint, which ``torch.load`` ignores.

    Returns the name of the first damaged part; None if there is none, or if the file is
    no archive, as before PyTorch 1.6.
    """
    try:
        with zipfile.ZipFile(filename) as archive:
            return archive.testzip()
    except zipfile.BadZipFile:
        return None  # torch.load raises an error if it is no checkpoint
    except Exception as error:  # entries of the archive can also be damaged
        return str(error) or type(error).__name__


class _History(HistoryBuffer):
    """Replaces MMEngine's ``HistoryBuffer`` while one is read.

    MMEngine's class accepts any attribute from a file, including methods. This one
    accepts the history only and then becomes the other.
    """

    def __setstate__(self, state: dict) -> None:
        log, count = state['_log_history'], state['_count_history']
        if not (isinstance(log, np.ndarray) and isinstance(count, np.ndarray)):
            raise pickle.UnpicklingError('a log history that is no array')
        self.max_length = int(state['max_length'])
        self._log_history, self._count_history = log, count
        self._set_default_statistics()
        self.__class__ = HistoryBuffer


def _no_attribute(owner: Any, name: str) -> None:
    """Replaces ``getattr``, by which histories refer to their methods."""


def _allowed_globals() -> list[Any]:
    """Lists the classes that MMEngine's message hub writes into every checkpoint.

    Histories refer to their own methods by ``getattr``; the real one would give a file
    access to ``eval``.
    """
    core = np._core if hasattr(np, '_core') else np.core
    dtypes = ('float32', 'float64', 'int32', 'int64', 'uint32')
    return [
        (_History, 'mmengine.logging.history_buffer.HistoryBuffer'),
        (_no_attribute, 'builtins.getattr'),
        np.ndarray,
        np.dtype,
        core.multiarray._reconstruct,
        core.multiarray.scalar,
        *(type(np.dtype(name)) for name in dtypes),
    ]


_SCOPES = ('mmxpl', 'mmdet', 'mmcv', 'mmengine')
_REMEDY = 'Give the config file that it was trained with.'


def embedded_config(checkpoint: Mapping[str, Any], source: str) -> Config:
    """Reads the config in a checkpoint of MMEngine without running it.

    The text may contain assignments of plain values and ``dict(...)``, which is all
    that MMEngine writes. Modules in its ``custom_imports`` are not imported. A
    DataError, with the name of the ``source``, says that there is no config, or that it
    contains other code.
    """
    meta = checkpoint.get('meta')
    text = meta.get('cfg') if isinstance(meta, Mapping) else None
    if not isinstance(text, str):
        raise DataError(f"checkpoint '{source}' holds no config. {_REMEDY}")
    try:
        values = {}
        for statement in ast.parse(text).body:
            if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
                raise ValueError(f'line {statement.lineno}')
            values[statement.targets[0].id] = _value(statement.value)
    except (AttributeError, RecursionError, SyntaxError, TypeError, ValueError) as e:
        raise DataError(
            f"the config in checkpoint '{source}' is more than plain values ({e}), "
            f'such code is not run. {_REMEDY}'
        ) from e
    return Config(values)


def refuse_unregistered(cfg: Any, source: str) -> None:
    """Checks that a part of a config builds registered models and transforms only.

    MMEngine's registries accept any importable name as a type, such as ``os.system``. A
    DataError, with the name of the ``source``, says that a ``type`` is not registered.
    """
    for path, name in walk(cfg):
        # a scope would change what the names below it mean
        if path[-1] in ('_scope_', 'type') and not _is_registered(name):
            raise DataError(
                f"the config in checkpoint '{source}' has the type {name!r}, which is "
                f'no registered model or transform. {_REMEDY}'
            )


def _value(node: ast.expr) -> Any:
    """Evaluates literals and ``dict(key=...)``."""
    if isinstance(node, ast.Call):
        unpacks = node.args or any(item.arg is None for item in node.keywords)
        if getattr(node.func, 'id', None) != 'dict' or unpacks:
            raise ValueError(f'line {node.lineno}')
        return {item.arg: _value(item.value) for item in node.keywords}
    if isinstance(node, ast.Dict):
        # a None among the keys is an unpacked dict, which literal_eval refuses
        keys = [ast.literal_eval(key) for key in node.keys]
        return dict(zip(keys, map(_value, node.values), strict=True))
    if isinstance(node, ast.List | ast.Tuple):
        values = [_value(item) for item in node.elts]
        return values if isinstance(node, ast.List) else tuple(values)
    return ast.literal_eval(node)


def _is_registered(name: Any) -> bool:
    """Tells whether a registry of mmxpl, mmdet or MMEngine has a type."""
    if not isinstance(name, str):
        return False
    scope, _, bare = name.rpartition('.')
    if scope and scope not in _SCOPES:
        return False
    scopes = (scope,) if scope else ('mmxpl', 'mmengine', 'mmcv')
    return any(
        bare in registry.module_dict
        for root in (ROOT_MODELS, ROOT_TRANSFORMS)
        for registry in (root, *root.children.values())
        # mmcv has no registries: it registers with MMEngine
        if registry.scope in scopes or (scope == 'mmcv' and registry.parent is None)
    )
