"""Check model-index.yml: every path exists, every config loads, weights are named.

Prints what it looked at; exits with 1 after naming everything that is wrong.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
NOT_PUBLISHED = 'not published'
# the hash by which PyTorch checks a download, as publish_model.py puts it
WEIGHTS = re.compile(r'https://\S+-[0-9a-f]{8}\.pth')


def faults(root: Path = ROOT) -> Iterator[str]:
    """Find what is wrong.

    Args:
        root (Path): Folder of model-index.yml.

    Yields:
        str: A fault, with the file it is in.
    """
    index, found = _read(root / 'model-index.yml')
    yield from found
    names: set[str] = set()
    for path in (index or {}).get('Import') or ():
        if not (root / path).is_file():
            yield f'model-index.yml: {path} does not exist'
            continue
        content, found = _read(root / path)
        yield from found
        if content is not None:
            yield from _metafile(root, path, content, names)
    listed = set((index or {}).get('Import') or ())
    for path in root.glob('configs/*/metafile.yml'):
        name = str(path.relative_to(root))
        if name not in listed:
            yield f'{name}: is not in model-index.yml'


def _read(path: Path) -> tuple[dict | None, list[str]]:
    """Read a YAML file that must hold an object."""
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        return None, [f'{path.name}: cannot be read ({error})']
    if not isinstance(content, dict):
        return None, [f'{path}: must hold keys and values']
    return content, []


def _metafile(root: Path, path: str, content: dict, names: set[str]) -> Iterator[str]:
    """Check collections and models of one metafile."""
    collections = {c.get('Name') for c in content.get('Collections') or ()}
    for collection in content.get('Collections') or ():
        where = f'{path}: collection {collection.get("Name")}'
        readme, code = collection.get('README'), collection.get('Code') or {}
        for key, value in (('README', readme), ('Code.URL', code.get('URL'))):
            if not value or not (root / value).is_file():
                yield f'{where}: {key} {value!r} does not exist'
    for model in content.get('Models') or ():
        where = f'{path}: model {model.get("Name")}'
        if not model.get('Name') or model['Name'] in names:
            yield f'{where}: the name is missing or taken'
        names.add(model.get('Name'))
        if model.get('In Collection') not in collections:
            yield f'{where}: collection {model.get("In Collection")!r} is unknown'
        yield from (f'{where}: {fault}' for fault in _model(root, model))


def _model(root: Path, model: dict) -> Iterator[str]:
    """Check config, results and weights of one model."""
    config = model.get('Config')
    if not config or not (root / config).is_file():
        yield f'Config {config!r} does not exist'
    else:
        yield from _config(root / config)
    method = (model.get('Metadata') or {}).get('Method')
    if method and not (root / method).is_file():
        yield f'Method {method!r} does not exist'
    if not model.get('Results'):
        yield 'has no Results'
    for result in model.get('Results') or ():
        missing = [k for k in ('Task', 'Dataset', 'Metrics') if not result.get(k)]
        if missing:
            yield f'a result has no {", ".join(missing)}'
        for name, value in (result.get('Metrics') or {}).items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                yield f'metric {name!r} is no number'
    weights: Any = model.get('Weights')
    if weights != NOT_PUBLISHED and not WEIGHTS.fullmatch(str(weights)):
        yield (
            f"Weights {weights!r} is neither '{NOT_PUBLISHED}' nor an https address "
            'that ends in -HASH.pth, as publish_model.py names files'
        )


def _config(path: Path) -> Iterator[str]:
    """Load a config."""
    from mmengine.config import Config

    try:
        cfg = Config.fromfile(path)
    except Exception as error:  # whatever a config's code raises
        yield f'Config {path.name} does not load ({error!r})'
    else:
        if 'model' not in cfg:
            yield f'Config {path.name} has no model'


def main() -> int:
    """Check and report."""
    found = list(faults())
    for fault in found:
        print(fault, file=sys.stderr)
    index, _ = _read(ROOT / 'model-index.yml')
    files = (index or {}).get('Import') or ()
    print(f'model-index.yml: {len(files)} metafiles, {len(found)} faults')
    return int(bool(found))


if __name__ == '__main__':
    sys.exit(main())
