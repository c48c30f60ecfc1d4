"""Method overlays: what a method changes of any config."""

from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from .errors import DataError

# in an installed package and in a checkout
_FOLDERS = tuple(
    folder / 'configs' / 'methods'
    for folder in (
        Path(__file__).resolve().parents[2],
        Path(__file__).resolve().parents[1] / '.mim',
    )
)
EVERY = '*'


def method_names() -> list[str]:
    """Names the methods that come with mmxpl.

    Returns:
        list[str]: Stems of the files in ``configs/methods``.
    """
    return sorted(path.stem for path in _folder().glob('*.py'))


def find_method(method: str) -> Path:
    """Finds the file of a method.

    Args:
        method (str): name of a method that comes with mmxpl, or a config file.

    Returns:
        Path: The file.

    Raises:
        DataError: If there is neither.
    """
    path = Path(method)
    if path.suffix != '.py':
        path = _folder() / f'{method}.py'
    if not path.is_file():
        raise DataError(
            f'--method {method}: is neither a file nor one of '
            f'{", ".join(method_names())}.'
        )
    return path


def apply_method(cfg: Config, method: str) -> None:
    """Makes a config that of another method.

    The overlay is merged as a child config is into its base: dictionaries key by
    key, with ``_delete_=True`` for a whole one; everything else replaces what is
    there. The key ``'*'`` stands for every key that the config has at its place.
    ``cfg.method`` then says what tables call the method.

    Args:
        cfg (Config): a config of XPL as the paper has it, changed in place.
        method (str): see :func:`find_method`.

    Raises:
        DataError: If there is no such method, if it has bases of its own, or if
            the config was made by a method before.
    """
    path = find_method(method)
    if 'method' in cfg:
        raise DataError(
            f"--method {method}: the config is one of method '{cfg.method}' already: "
            'give the config that it was made from.'
        )
    if Config._get_base_files(str(path)):
        raise DataError(f'{path}: a method has no _base_, it is merged into a config.')
    overlay = Config.fromfile(path)._cfg_dict.to_dict()
    overlay.setdefault('method', path.stem)
    try:
        cfg.merge_from_dict(_expand(overlay, cfg._cfg_dict))
    except TypeError as error:
        raise DataError(f'{path}: does not fit {cfg.filename}: {error}') from error


def _folder() -> Path:
    """The folder of the methods."""
    for folder in _FOLDERS:
        if folder.is_dir():
            return folder
    raise DataError(f'{_FOLDERS[0]}: no such folder, mmxpl is not whole.')


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
