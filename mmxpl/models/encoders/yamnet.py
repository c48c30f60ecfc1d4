"""YAMNet, an audio encoder with AudioSet weights."""

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from mmengine.model import BaseModule, Sequential
from torch import Tensor, nn

from mmxpl.registry import MODELS

SAMPLE_RATE = 16000  # Hz
WINDOW, HOP, FFT = 400, 160, 512  # samples
BANDS, LOWEST, HIGHEST = 64, 125.0, 7500.0  # the edges in Hz
LOG_OFFSET = 0.001
PATCH, PATCH_HOP = 96, 48  # frames
# channels and stride of the separable convolutions after the stem of 32
SEPARABLE = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
)


@MODELS.register_module()
class YAMNet(BaseModule):
    """MobileNet v1 on patches of a log-mel spectrogram, with its own front end.

    The network of https://github.com/tensorflow/models/tree/master/research/audioset/yamnet
    without its classifier: 27 convolutions, whose normalisation is folded into
    them, padded as TensorFlow does. ``tools/model_converters/pretrained.py`` makes a
    checkpoint of AudioSet weights for it.

    It reads the waveform. As in the original, the sound is cut into patches of 0.96 s
    every 0.48 s, and the last patch is padded with silence.

    Args:
        pool (str): 'avg' or 'max', pooling of the embeddings of the patches.
        init_cfg (dict | list[dict], optional): how weights are initialised.

    Attributes:
        reads_waveform (bool): True, :meth:`forward` takes waveforms.
        sample_rate (int): sample rate of the waveforms, in Hz.
        out_channels (int): 1024.
    """

    reads_waveform = True
    sample_rate = SAMPLE_RATE
    out_channels = SEPARABLE[-1][0]

    def __init__(self, pool: str = 'avg', init_cfg: dict | list | None = None) -> None:
        super().__init__(init_cfg)
        if pool not in ('avg', 'max'):
            raise ValueError(f"pool must be 'avg' or 'max', got '{pool}'.")
        self.pool = pool
        self.front_end = YAMNetFrontEnd()
        layers, previous = [_padded(ConvModule, 1, 32, 2)], 32
        kind = DepthwiseSeparableConvModule
        for channels, stride in SEPARABLE:
            layers.append(_padded(kind, previous, channels, stride))
            previous = channels
        self.layers = Sequential(*layers)

    def forward(self, waveform: Tensor) -> Tensor:
        """Encodes (B, T) waveforms in [-1, 1], 16 kHz, to (B, 1024), not negative."""
        patches = self.front_end(waveform)
        features = self.layers(patches.flatten(0, 1).unsqueeze(1))
        embeddings = features.mean(dim=(2, 3)).unflatten(0, patches.shape[:2])
        return embeddings.amax(dim=1) if self.pool == 'max' else embeddings.mean(dim=1)


class YAMNetFrontEnd(nn.Module):
    """Log-mel patches of a waveform, in fp32 also under autocast.

    Magnitudes of a Fourier transform of 512 samples in windows (Hann) of 25 ms every
    10 ms, 64 bands between 125 and 7500 Hz, ``log(x + 0.001)``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer('window', torch.hann_window(WINDOW), persistent=False)
        self.register_buffer('mel', mel_weights(), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Computes (B, P, 96, 64) fp32 patches, time before frequency.

        Waveforms are (B, T) in [-1, 1], 16 kHz.
        """
        with torch.autocast(waveform.device.type, enabled=False):
            waveform = F.pad(waveform.float(), (0, missing(waveform.shape[1])))
            frames = waveform.unfold(1, WINDOW, HOP) * self.window
            magnitude = torch.fft.rfft(frames, FFT).abs()
            log_mel = torch.log(magnitude @ self.mel + LOG_OFFSET)
            return log_mel.unfold(1, PATCH, PATCH_HOP).transpose(2, 3)


def missing(samples: int) -> int:
    """Counts the samples of silence that fill the last patch of a sound."""
    first = WINDOW + (PATCH - 1) * HOP
    return first - samples if samples < first else (first - samples) % (PATCH_HOP * HOP)


def mel_weights() -> Tensor:
    """Computes the weights of the mel bands, (257, 64) from bins to bands.

    They are those of TensorFlow's ``linear_to_mel_weight_matrix``, unlike torchaudio's:
    triangles are straight over mel, not over Hz, and the bin of 0 Hz has weight 0.
    """
    hertz = torch.tensor([LOWEST, HIGHEST], dtype=torch.float64)
    lowest, highest = (1127 * torch.log1p(hertz / 700)).tolist()
    edges = torch.linspace(lowest, highest, BANDS + 2, dtype=torch.float64)
    bins = torch.linspace(0, SAMPLE_RATE / 2, FFT // 2 + 1, dtype=torch.float64)
    mel = 1127 * torch.log1p(bins / 700)[:, None]
    lower, center, upper = edges[:-2], edges[1:-1], edges[2:]
    rising = (mel - lower) / (center - lower)
    falling = (upper - mel) / (upper - center)
    return torch.minimum(rising, falling).clamp_min(0).float()


def _padded(kind: type[nn.Module], channels: int, out: int, stride: int) -> nn.Module:
    """Builds a 3x3 convolution with bias and ReLU that pads as TensorFlow does."""
    # with stride 1 both sides are padded alike, as PyTorch does
    conv_cfg = dict(type='Conv2dAdaptivePadding') if stride > 1 else None
    return kind(channels, out, 3, stride, padding=1, conv_cfg=conv_cfg)
