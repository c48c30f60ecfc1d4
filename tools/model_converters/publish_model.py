"""Makes a checkpoint to publish from one of a training.

It has only weights and config, without optimizer, pseudo-labels, teacher and log. Its
name includes the first eight digits of the file's SHA-256, with which PyTorch verifies
downloads.
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
from mmxpl.utils.files import write_result

# kept meta information; the rest says when, where and by whom
META = ('cfg', 'dataset_meta', 'epoch', 'iter', 'mmengine_version', 'seed')
# an absolute path, in quotes
_PATH = re.compile(r"""['"]((?:/|~|[A-Za-z]:\\)[^'"\s]+)['"]""")


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('in_file', help='checkpoint of a training')
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
    """Returns ``meta`` and ``state_dict``, the published part of a checkpoint.

    Raises a DataError, with its ``name``, if it has no weights.
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
    """Writes a checkpoint and adds its hash to the name, which is returned.

    Raises a DataError if the file exists or cannot be written.
    """
    import torch

    # saved to memory: torch.save writes a file's name into it, which changes the hash
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    data = buffer.getvalue()
    digest = hashlib.sha256(data).hexdigest()[:8]
    path = path.with_name(f'{path.stem}-{digest}.pth')
    if path.exists():
        raise DataError(f'{path}: exists already and is not overwritten.')
    write_result(path, data)
    return path


def main(argv: Sequence[str] | None = None) -> None:
    """Publishes and reports."""
    args = parse_args(argv)
    with one_clear_error():
        # imported late, so that wrong arguments are reported at once
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
            print('It has no config: publish the config file with it.')
        local = sorted(set(_PATH.findall(str(kept['meta'].get('cfg', '')))))
        if local:
            print(f'Its config names paths of this machine: {", ".join(local)}')


if __name__ == '__main__':
    main()
