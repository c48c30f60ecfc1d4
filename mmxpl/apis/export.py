"""Export of a localizer as ONNX or torch.export graph, which runs without mmxpl."""

import importlib
import io
import json
import logging
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmxpl.registry import TRANSFORMS
from mmxpl.utils import DataError
from mmxpl.utils.files import atomic_path

from .inference import clip_pipeline

FORMATS = ('.onnx', '.pt2')
_BATCHES = (1, 3)  # sizes that are checked; the graph is traced with another
_TRACED = 2


class ExportableLocalizer(nn.Module):
    """A localizer with the normalisation and front end of its data preprocessor.

    Args:
        learner (nn.Module): Learner of :func:`mmxpl.apis.load_learner`.
        name (str): Name of the localizer.
        with_spectrogram (bool): Whether the graph computes the spectrogram from a
            waveform; otherwise it reads the output of the front end.

    Raises:
        DataError: If the learner has no such localizer, or if its encoder reads
            waveforms and ``with_spectrogram`` is False.
    """

    def __init__(
        self, learner: nn.Module, name: str, with_spectrogram: bool = False
    ) -> None:
        super().__init__()
        if name not in learner.names:
            raise DataError(f'localizer: must be one of {learner.names}, got {name!r}.')
        self.localizer = learner.localizers[name]
        preprocessor = learner.data_preprocessor
        encoder = self.localizer.audio_encoder
        if not getattr(encoder, 'reads_waveform', False):
            self.front_end = preprocessor.audio[self.localizer.audio_input]
        elif with_spectrogram:
            self.front_end = nn.Identity()  # the encoder computes its own
        else:
            raise DataError(
                f"localizer '{name}': its {type(encoder).__name__} computes the "
                'spectrogram itself. Export it with_spectrogram=True '
                '(--with-spectrogram).'
            )
        self.with_spectrogram = with_spectrogram
        self.register_buffer('mean', preprocessor.mean.clone())
        self.register_buffer('std', preprocessor.std.clone())

    @property
    def sound_name(self) -> str:
        """str: Name of the graph's second input."""
        return 'waveform' if self.with_spectrogram else self.localizer.audio_input

    def forward(self, image: Tensor, sound: Tensor) -> Tensor:
        """Predicts probabilities (B, h, w) of images (B, 3, H, W), uint8 BGR.

        The sound is (B, T), float32 in [-1, 1], or the front end's output (B, 1, F, L).
        """
        if self.with_spectrogram:
            sound = self.front_end(sound)
        inputs = {
            'img': (image.flip(1).float() - self.mean) / self.std,
            self.localizer.audio_input: sound,
        }
        return self.localizer(inputs).logits.sigmoid()


def export_localizer(
    learner: nn.Module,
    cfg: Config,
    name: str,
    path: str | Path,
    with_spectrogram: bool = False,
    tolerance: float = 1e-4,
) -> float:
    """Exports a localizer and compares the graph with PyTorch.

    Only the batch size is dynamic. The comparison uses batches of 1 and 3 clips of
    random images with noise, a chord and silence.

    Args:
        learner (nn.Module): Learner of :func:`mmxpl.apis.load_learner`, on the CPU.
        cfg (Config): Its config, which has the sizes of frame and sound.
        name (str): Name of the localizer.
        path (str | Path): File to write: ``.onnx``, or ``.pt2`` for torch.export.
        with_spectrogram (bool): See :class:`ExportableLocalizer`.
        tolerance (float): Largest difference of a probability that is accepted.

    Returns:
        float: Largest difference found.

    Raises:
        DataError: If a package is missing, the file exists, its suffix is unknown, or
            the graph differs from PyTorch by more than the tolerance.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise DataError(f'{path}: must end in .onnx, or in .pt2 for torch.export.')
    if path.exists():
        raise DataError(f'{path}: exists already and is not overwritten.')
    model = ExportableLocalizer(learner, name, with_spectrogram).eval()
    # a batch of 3 has all kinds of sound
    clips = example_inputs(cfg, sum(_BATCHES) + _TRACED)
    if not with_spectrogram:
        clips = clips[0], model.front_end(clips[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    write = _write_onnx if path.suffix == '.onnx' else _write_torch
    with atomic_path(path, keep_suffix=True) as draft:
        with torch.no_grad(), _quiet():
            batches = zip(*(c.split([_TRACED, *_BATCHES]) for c in clips), strict=True)
            run = write(model, next(batches), draft, _about(cfg, model))
            found = 0.0
            for batch in batches:
                difference = (run(*batch) - model(*batch)).abs().max()
                # NaN must not pass as the larger of two numbers
                found = max(found, difference.nan_to_num(float('inf')).item())
        if found > tolerance:
            raise DataError(
                f'{path}: differs from PyTorch by {found:.1e}, more than the tolerance '
                f'of {tolerance:.1e}, and is not written.'
            )
    return found


def example_inputs(cfg: Config, count: int) -> tuple[Tensor, Tensor]:
    """Generates B clips of the sizes in a config.

    Returns:
        tuple[Tensor, Tensor]: Images of noise, (B, 3, H, W) uint8; noise, a chord and
        silence in turn, (B, T) float32 in [-1, 1].
    """
    size, rate, duration = _sizes(cfg)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, *size), generator=generator)
    time = torch.arange(round(rate * duration)) / rate
    noise = 0.1 * torch.randn(count, len(time), generator=generator)
    chord = sum(0.2 * torch.sin(6.2832 * pitch * time) for pitch in (220.0, 880.0))
    kinds = torch.arange(count)[:, None] % 3
    sounds = torch.where(kinds == 0, noise, torch.where(kinds == 1, chord, 0.0))
    return images.to(torch.uint8), sounds.clamp(-1, 1)


def _sizes(cfg: Config) -> tuple[tuple[int, int], int, float]:
    """Returns size of the frame, sample rate and seconds of sound."""
    built = map(TRANSFORMS.build, clip_pipeline(cfg))
    steps = {type(step).__name__: step for step in built}
    if not {'LoadFrame', 'LoadAudio'} <= steps.keys():
        raise DataError('test_dataloader: needs LoadFrame and LoadAudio in its steps.')
    audio = steps['LoadAudio']
    return steps['LoadFrame'].size, audio.sample_rate, audio.duration


def _about(cfg: Config, model: ExportableLocalizer) -> dict[str, str]:
    """Describes inputs and output for the metadata of the file."""
    (height, width), rate, duration = _sizes(cfg)
    image = f'uint8 (batch, 3, {height}, {width}), BGR, the whole frame resized'
    sound = (
        f'float32 in [-1, 1], mono, {rate} Hz, {duration:g} s around the frame'
        if model.with_spectrogram
        else repr(model.front_end)
    )
    facts = dict(image=image, sound=sound, map='probability that a cell sounds')
    return {'mmxpl': json.dumps(facts)}


def _write_torch(
    model: nn.Module, example: tuple[Tensor, Tensor], path: Path, about: dict[str, str]
) -> Callable[..., Tensor]:
    """Writes with torch.export; returns the function read from the file."""
    batch = torch.export.Dim.DYNAMIC
    program = torch.export.export(
        model, example, dynamic_shapes=({0: batch}, {0: batch})
    )
    # PyTorch's writer aborts the process if the disk is full
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files=about)
    path.write_bytes(buffer.getvalue())
    return torch.export.load(str(path)).module()


def _write_onnx(
    model: ExportableLocalizer,
    example: tuple[Tensor, Tensor],
    path: Path,
    about: dict[str, str],
) -> Callable[..., Tensor]:
    """Writes ONNX; returns a function that runs the file in onnxruntime."""
    runtime = _import('onnxruntime')
    _import('onnxscript')
    program = torch.onnx.export(
        model,
        example,
        input_names=['image', model.sound_name],
        output_names=['map'],
        dynamic_shapes=({0: 'batch'}, {0: 'batch'}),
        dynamo=True,
        verbose=False,
    )
    program.model.metadata_props.update(about)
    program.save(str(path), external_data=False)
    session = runtime.InferenceSession(str(path), providers=['CPUExecutionProvider'])

    def run(image: Tensor, sound: Tensor) -> Tensor:
        feed = {'image': image.numpy(), model.sound_name: sound.numpy()}
        return torch.from_numpy(session.run(['map'], feed)[0])

    return run


def _import(name: str) -> ModuleType:
    """Imports an optional package of the ONNX export."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise DataError(
            f'ONNX needs {name}, which cannot be imported ({error}). Install it: pip '
            'install "mmxpl[onnx]".'
        ) from error


@contextmanager
def _quiet():
    """Silences messages of PyTorch's exporter about itself and torchvision."""
    logger = logging.getLogger('torch.onnx')
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', FutureWarning)
            warnings.simplefilter('ignore', DeprecationWarning)
            warnings.filterwarnings('ignore', message='.*axis name|No complete tensor')
            yield
    finally:
        logger.setLevel(level)
