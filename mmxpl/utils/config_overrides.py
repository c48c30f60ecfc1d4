"""Command-line options and method overlays of configs."""

import copy
import inspect
import traceback
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType, NoneType
from typing import Any

from mmengine.config import Config, ConfigDict

from .errors import DataError, describe
from .nested import children, walk

# keys that a run reads besides the arguments of Runner
_READ_BY_RUNNER = {
    'activation_checkpointing',
    'compile',
    'efficient_conv_bn_eval',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'runner_type',
    'sync_bn',
}
# of what MMEngine reads key by key, and ignores the rest, with types
READ_BELOW = {
    'auto_scale_lr': dict(base_batch_size=int, enable=bool),
    'env_cfg': dict(
        cudnn_benchmark=bool, dist_cfg=dict, mp_cfg=dict, resource_limit=int
    ),
    'env_cfg.mp_cfg': dict(mp_start_method=str, opencv_num_threads=int),
    'randomness': dict(deterministic=bool, diff_rank_seed=bool, seed=int | None),
}
# top-level keys of MMDetection 2, and what has taken their place
_FORMER = {
    'checkpoint_config': 'default_hooks.checkpoint',
    'data': 'train_dataloader, val_dataloader and test_dataloader',
    'dist_params': 'env_cfg.dist_cfg',
    'evaluation': 'val_evaluator and train_cfg.val_interval',
    'fp16': 'optim_wrapper.type',
    'log_config': 'default_hooks.logger',
    'lr_config': 'param_scheduler',
    'optimizer': 'optim_wrapper.optimizer',
    'optimizer_config': 'optim_wrapper',
    'resume_from': 'resume and load_from',
    'runner': 'train_cfg',
    'seed': 'randomness.seed',
    'total_epochs': 'train_cfg.max_epochs',
    'workflow': 'train_cfg',
}
# types of settings, also of those that a config imports
_PLAIN = (dict, list, tuple, str, int, float, NoneType)
_MAX_HINTS = 4


def read_config(path: str | Path) -> Config:
    """Reads a config file, which is a program.

    Raises a DataError with file and line if it fails, an OSError if it or a base of it
    does not exist.
    """
    try:
        cfg = Config.fromfile(path)
        imported = [
            (name, value)
            for name, value in cfg._cfg_dict.items()
            if name in cfg._imported_names or isinstance(value, ModuleType)
        ]
    except OSError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        # of this config, its bases and what they import
        modules = [frame for frame in frames if frame.name == '<module>']
        places = [f'{frame.filename}, line {frame.lineno}: ' for frame in modules]
        raise DataError(
            f"config '{path}' cannot be read: {''.join(places[-1:])}{describe(error)}"
        ) from error
    # MMEngine keeps what a config with imports imports, though modules cannot be copied
    for name, value in imported:
        if isinstance(value, _PLAIN):  # a setting
            cfg[name] = value
            cfg._imported_names.discard(name)
        else:
            del cfg._cfg_dict[name]
    return cfg


def refuse_inert_keys(cfg: Config, path: str) -> None:
    """Refuses keys of a config file that look like settings but are not read.

    Variables of a config may have any name. A misspelt setting, or one of MMDetection
    2, is refused by a DataError unless its value occurs in a setting that is read.
    """
    for keys, node in walk(cfg._cfg_dict):
        key = '.'.join(keys)
        below = READ_BELOW.get(key) if isinstance(node, dict) else None
        unknown = sorted(set(node) - {*below, '_delete_'}) if below else []
        if unknown:
            raise DataError(
                f"config '{path}': '{key}.{unknown[0]}' is not read, only "
                f'{", ".join(sorted(below))} are. Correct or remove it.'
            )
    read = _read_keys()
    for key in cfg:
        if key in read:
            continue
        meant = _FORMER.get(key) or next(
            iter(get_close_matches(key, read, 1, cutoff=0.8)), None
        )
        if meant is not None and cfg[key] not in _read_paths(cfg).values():
            raise DataError(
                f"config '{path}': '{key}' is not read. Did you mean {meant}? "
                'Rename or remove it.'
            )


def merge_options(cfg: Config, options: dict[str, Any], amp: bool = False) -> None:
    """Merges command-line options, whose keys must be known, into a config, in place.

    MMEngine merges any key, so that a misspelt one has no effect. Here a key, dotted,
    with indices for lists as MMEngine's ``DictAction`` parses it, must exist in the
    config, or be an argument of the Runner or of the class that its part of the config
    builds with the options' own ``type``. With ``amp``, for which an AmpOptimWrapper
    will replace the OptimWrapper, its arguments are known as well. A DataError says
    that a key is unknown, or a variable of the config file, which is read only when the
    file is.
    """
    # types first, which say what arguments there are
    typed = copy.deepcopy(cfg)
    if amp:
        typed.merge_from_dict({'optim_wrapper.type': 'AmpOptimWrapper'})
    for key in sorted(options, key=lambda key: not key.endswith('.type')):
        _check_key(typed, key)
        if key.endswith('.type'):
            _replace_none(typed, key)
            typed.merge_from_dict({key: options[key]})
    for key in options:
        _replace_none(cfg, key)
    cfg.merge_from_dict(options)


def _replace_none(cfg: Config, key: str) -> None:
    """Makes room in a None for the dict that an option sets a key of, in place."""
    node: Any = cfg._cfg_dict
    for part in key.split('.')[:-1]:
        below = dict(children(node))
        if part in below and below[part] is None:
            node[part] = {}
            return
        node = below.get(part)


def _check_key(cfg: Config, key: str) -> None:
    """Raises a DataError if setting ``key`` would have no effect."""
    loader = cfg.get('train_dataloader') or {}
    if key == 'train_dataloader.batch_size' and 'batch_size' not in loader:
        raise DataError(
            f'--cfg-options: {key} follows from train_dataloader.sampler: set its '
            'labeled_per_batch and unlabeled_per_batch.'
        )
    if key == 'launcher':
        raise DataError('--cfg-options: launcher follows from --launcher.')
    top, *rest = key.split('.')
    read = top in _read_keys()
    if top not in cfg:
        if not read:
            raise _unknown(cfg, key, above='')
        return
    if not read:
        raise _plain_variable(cfg, top)
    node, above = cfg[top], f'{top}.'
    for depth, part in enumerate(rest):
        below = dict(children(node))
        last = depth == len(rest) - 1
        # MMEngine merges into dicts, and into those of lists
        if part in below and isinstance(node, list | tuple if last else tuple):
            raise DataError(
                f'--cfg-options: {key} cannot be set alone: set the whole list, '
                f'{above[:-1]}="[a,b]", or write it into a config file.'
            )
        if below.get(part) is None:
            if last and part in {*below, *find_arguments(node)}:
                return
            # keys of a dict that is not set are checked where it is used
            argument = find_arguments(node).get(part)
            takes_dict = argument is not None and 'dict' in str(argument.annotation)
            if takes_dict and len(rest) == depth + 2:
                return
            raise _unknown(cfg, key, above)
        node, above = below[part], f'{above}{part}.'


def _read_keys() -> set[str]:
    """Names the top-level keys of a config that a Runner reads."""
    # imports PyTorch, which a tool that refuses its arguments does without
    from mmengine.runner import Runner

    arguments = set(inspect.signature(Runner.__init__).parameters)
    return arguments - {'self', 'cfg'} | _READ_BY_RUNNER


def find_arguments(node: Any) -> dict[str, inspect.Parameter]:
    """Finds the arguments of the class that a part of a config builds."""
    # imports PyTorch, as in _read_keys()
    from mmxpl.registry import find_class

    found: dict[str, inspect.Parameter] = {}
    for part in getattr(find_class(node), '__mro__', ()):
        parameters = inspect.signature(part.__init__).parameters
        found = {**parameters, **found}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            break
    return {name: found[name] for name in found.keys() - {'self', 'args', 'kwargs'}}


def _read_paths(cfg: Config) -> dict[str, Any]:
    """Collects the dotted keys, with values, that have an effect."""
    read = _read_keys()
    paths = walk(cfg._cfg_dict.to_dict())
    return {'.'.join(path): value for path, value in paths if path[0] in read}


def _unknown(cfg: Config, key: str, above: str) -> DataError:
    """Makes the error of a key that is not in the config, with a few similar ones.

    Siblings below ``above``, its longest part that exists, come first, then keys
    elsewhere with a similar last name, then keys that are similar as a whole.
    """
    paths = list(_read_paths(cfg))
    wrong, *rest = key.removeprefix(above).split('.')
    below = [path.removeprefix(above) for path in paths if path.startswith(above)]
    siblings = [name for name in below if '.' not in name]
    hints = [
        above + '.'.join([name, *rest])
        for name in get_close_matches(wrong, siblings, _MAX_HINTS)
    ]
    hints = [hint for hint in hints if hint in paths]
    names = {path: path.rpartition('.')[2] for path in paths}
    last = key.rpartition('.')[2]
    for similar in get_close_matches(last, set(names.values()), 2, 0.8):
        same = [path for path, name in names.items() if name == similar]
        hints += get_close_matches(key, same, 2, 0.0)
    hints += get_close_matches(key, paths, _MAX_HINTS, 0.8)
    hints = list(dict.fromkeys(hints))[:_MAX_HINTS]
    meant = f'; did you mean {" or ".join(map(repr, hints))}?' if hints else '.'
    return DataError(
        f"--cfg-options: unknown key '{key}'{meant} To add a key, write it into a "
        'config file.'
    )


def _plain_variable(cfg: Config, name: str) -> DataError:
    """Makes the error of a variable that is not read after loading.

    It names the keys that probably got their value from it: those of its name and value
    or, if there are none, of its value, unless that is too common for a guess.
    """
    same_value = [
        path
        for path, value in _read_paths(cfg).items()
        if path != name and value == cfg[name]
    ]
    same_name = [path for path in same_value if path.rpartition('.')[2] == name]
    places = same_name or same_value
    if len(places) > _MAX_HINTS:
        places = same_name
    remedy = (
        f'Set {", ".join(places)} instead.'
        if places
        else 'Set it in a config file, or set what it was used for.'
    )
    return DataError(
        f"--cfg-options: '{name}' is a variable of the config file; its value was used "
        f'while the file was read, so setting it now would change nothing. {remedy}'
    )


# in a checkout and in an installed package
_PACKAGE = Path(__file__).resolve().parents[1]
_FOLDERS = (_PACKAGE.parent, _PACKAGE / '.mim')
EVERY = '*'


def find_shipped(name: str) -> Path:
    """Finds what comes with mmxpl beside the package, such as ``tools/train.py``."""
    for folder in _FOLDERS:
        if (folder / name).exists():
            return folder / name
    raise DataError(
        f'{_FOLDERS[0] / name}: is missing: mmxpl is incomplete, install it again.'
    )


def method_names() -> list[str]:
    """Names the methods that come with mmxpl, the files of ``configs/methods``."""
    return sorted(path.stem for path in find_shipped('configs/methods').glob('*.py'))


def find_method(method: str) -> Path:
    """Finds the file of a method: a name in ``configs/methods``, or a config file.

    Raises a DataError if there is neither.
    """
    path = Path(method)
    if path.suffix != '.py':
        path = find_shipped('configs/methods') / f'{method}.py'
    if not path.is_file():
        raise DataError(
            f'--method {method}: is neither a file nor one of '
            f'{", ".join(method_names())}.'
        )
    return path


def short_name(method: str) -> str:
    """Shortens a method of a comparison, whose file may be named from anywhere.

    What follows a plus sign stays.
    """
    name, *changes = method.split('+')
    return '+'.join([Path(name).stem if name.endswith('.py') else name, *changes])


def apply_method(cfg: Config, method: str) -> None:
    """Applies the overlay of a method to a config of XPL as the paper has it, in place.

    The overlay is merged as a child config is into its base; the key ``'*'`` stands for
    every key that the config has at its place. ``cfg.method`` is then the name of the
    method. For ``method`` see :func:`find_method`. A DataError says that there is no
    such method, that it has bases of its own or a key that is not read, or that the
    config was made by a method before.
    """
    path = find_method(method)
    if 'method' in cfg:
        raise DataError(
            f"--method {method}: the config is one of method '{cfg.method}' already: "
            'give the config that it was made from.'
        )
    read = read_config(path)
    if Config._get_base_files(str(path)):
        raise DataError(f'{path}: a method has no _base_, it is merged into a config.')
    refuse_inert_keys(read, str(path))
    overlay = read._cfg_dict.to_dict()
    overlay.setdefault('method', path.stem)
    try:
        cfg.merge_from_dict(_expand(overlay, cfg._cfg_dict))
    except TypeError as error:
        raise DataError(f'{path}: does not fit {cfg.filename}: {error}') from error


def _expand(overlay: dict[str, Any], node: Any) -> dict[str, Any]:
    """Replaces ``'*'`` by the keys that the config has at its place."""
    known = node if isinstance(node, dict) else ConfigDict()
    keys = [*overlay]
    if EVERY in overlay:
        keys = [*known, *(key for key in overlay if key not in known and key != EVERY)]
    whole = {}
    for key in keys:
        value = overlay.get(key, overlay.get(EVERY))
        whole[key] = (
            _expand(value, known.get(key)) if isinstance(value, dict) else value
        )
    return whole
