"""Make of a training checkpoint a file to give away.

Keeps weights and config alone: no optimizer, pseudo-labels, teacher or log. The name
gets the first eight digits of the file's SHA-256, by which PyTorch checks downloads.
"""

import argparse
import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmxpl.utils import DataError
from mmxpl.utils.cli import one_clear_error

# of the meta information; the rest says when, where and by whom
META = ('cfg', 'dataset_meta', 'epoch', 'iter', 'mmengine_version', 'seed')
# an absolute path, in quotes
_PATH = re.compile(r"""['"]((?:/|~|[A-Za-z]:\\)[^'"\s]+)['"]""")


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('in_file', help='checkpoint of training')
    parser.add_argument(
        'out_file',
        type=Path,
        help='file to write; NAME.pth becomes NAME-HASH.pth, which must not exist',
    )
    args = parser.parse_args(argv)
    if args.out_file.suffix != '.pth':
        parser.error(f"'{args.out_file}' must end in .pth")
    return args


def published(checkpoint: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Take what others need.

    Args:
        checkpoint (Mapping[str, Any]): What the file held.
        name (str): The file, for messages.

    Returns:
        dict: ``meta`` and ``state_dict``.

    Raises:
        DataError: If it has no weights.
    """
    weights = checkpoint.get('state_dict')
    if not isinstance(weights, Mapping) or not weights:
        raise DataError(f"checkpoint '{name}' has no state_dict. Name another file.")
    meta = checkpoint.get('meta')
    meta = meta if isinstance(meta, Mapping) else {}
    return dict(
        meta={key: meta[key] for key in META if key in meta},
        state_dict={
            key: value.detach().cpu().clone() for key, value in weights.items()
        },
    )


def write(checkpoint: Mapping[str, Any], path: Path) -> Path:
    """Write a checkpoint under a name that tells its content.

    Args:
        checkpoint (Mapping[str, Any]): The checkpoint.
        path (Path): Name without hash.

    Returns:
        Path: The file.

    Raises:
        DataError: If it exists or cannot be written.
    """
    import torch

    # by way of memory: a file would hold its own name, and so change the hash
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    data = buffer.getvalue()
    digest = hashlib.sha256(data).hexdigest()[:8]
    path = path.with_name(f'{path.stem}-{digest}.pth')
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(path, 'xb') as file:
            file.write(data)
    except FileExistsError as error:
        raise DataError(
            f'{path}: exists already, with the same content by its name.'
        ) from error
    except OSError as error:
        raise DataError(f'{path}: cannot be written ({error.strerror}).') from error
    return path


def main(argv: Sequence[str] | None = None) -> None:
    """Publish and report."""
    args = parse_args(argv)
    with one_clear_error():
        # imported late: a wrong argument is then answered at once
        from mmxpl.utils.checkpoint import read_checkpoint

        checkpoint = read_checkpoint(args.in_file, 'cpu')
        kept = published(checkpoint, args.in_file)
        path = write(kept, args.out_file)
        dropped = sorted(set(checkpoint) - set(kept))
        before = Path(args.in_file).expanduser().stat().st_size / 1e6
        print(
            f'{path}: {path.stat().st_size / 1e6:.1f} of {before:.1f} MB; left out: '
            f'{", ".join(dropped) or "nothing"}'
        )
        if 'cfg' not in kept['meta']:
            print('It carries no config: give the config file along with it.')
        local = sorted(set(_PATH.findall(str(kept['meta'].get('cfg', '')))))
        if local:
            print(f'Its config names paths of this machine: {", ".join(local)}')


if __name__ == '__main__':
    main()
