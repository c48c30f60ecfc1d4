"""Audio front ends: log spectrograms of waveforms."""

import torch
from torch import Tensor, nn

from mmxpl.compat import torchaudio_transforms
from mmxpl.registry import MODELS
from mmxpl.utils.checks import check_positive
from mmxpl.utils.errors import DataError


class _LogFrontend(nn.Module):
    """Logarithm and normalisation of a power spectrogram, in fp32.

    ``spectrogram`` is torchaudio's ``Spectrogram`` or ``MelSpectrogram`` with
    ``power=None`` and ``center=False``: the square of an absolute value would cost more
    than the transform, PyTorch's reflected padding half of it.
    """

    def __init__(self, spectrogram: nn.Module, mean: float, std: float) -> None:
        super().__init__()
        check_positive(std=std)
        self.spectrogram = spectrogram
        self.mean, self.std = mean, std

    def power(self, waveform: Tensor) -> Tensor:
        """Computes (B, F, L) power spectrograms."""
        stft = getattr(self.spectrogram, 'spectrogram', self.spectrogram)
        mel_scale = getattr(self.spectrogram, 'mel_scale', None)
        half = stft.n_fft // 2
        if waveform.shape[1] <= half:
            raise DataError(
                f'sounds of {waveform.shape[1]} samples are too short for n_fft='
                f'{stft.n_fft}: more than half of it are needed. Raise duration of '
                'LoadAudio, or lower n_fft of the front end.'
            )
        before = waveform.narrow(1, 1, half).flip(1)
        after = waveform.narrow(1, -half - 1, half).flip(1)
        spectrum = stft(torch.cat([before, waveform, after], 1))
        power = spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag)
        return power if mel_scale is None else mel_scale(power)

    def forward(self, waveform: Tensor) -> Tensor:
        """Computes (B, 1, F, L) fp32 spectrograms of (B, T) waveforms in [-1, 1].

        They are frequencies by frames, and fp32 also under autocast.
        """
        with torch.autocast(waveform.device.type, enabled=False):
            power = self.power(waveform.float())
            # 1e-7 as in EZ-VSL (Mo & Morgado, ECCV 2022): keeps silence finite
            log_power = power.add_(1e-7).log_()
            return log_power.sub_(self.mean).div_(self.std).unsqueeze(1)


@MODELS.register_module()
class LogSpectrogram(_LogFrontend):
    """Log power spectrogram on a linear frequency axis.

    The window and hop of 512 and 238 samples are those of LVS (Chen et al.,
    CVPR 2021) and EZ-VSL: 3 s at 16 kHz become 257 x 202.

    Args:
        n_fft (int): window in samples; n_fft // 2 + 1 frequencies.
        hop_length (int): samples between frames.
        mean (float): subtracted from the log power.
        std (float): divisor after that.
    """

    def __init__(
        self,
        n_fft: int = 512,
        hop_length: int = 238,
        mean: float = -5.0,
        std: float = 3.0,
    ) -> None:
        check_positive(n_fft=n_fft, hop_length=hop_length)
        transform = torchaudio_transforms().Spectrogram(
            n_fft=n_fft, hop_length=hop_length, power=None, center=False
        )
        super().__init__(transform, mean, std)


@MODELS.register_module()
class LogMel(_LogFrontend):
    """Log-mel power spectrogram of VGGish (Hershey et al., ICASSP 2017).

    At 16 kHz the defaults are VGGish's window of 25 ms, hop of 10 ms and 64
    bands between 125 and 7500 Hz.

    Args:
        sample_rate (int): sample rate of the waveforms, in Hz.
        n_fft (int): size of the Fourier transform.
        win_length (int): window in samples.
        hop_length (int): samples between frames.
        n_mels (int): number of bands.
        f_min (float): lowest frequency in Hz.
        f_max (float): highest frequency in Hz.
        mean (float): subtracted from the log power.
        std (float): divisor after that.
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        n_fft: int = 512,
        win_length: int = 400,
        hop_length: int = 160,
        n_mels: int = 64,
        f_min: float = 125.0,
        f_max: float = 7500.0,
        mean: float = -3.0,
        std: float = 3.0,
    ) -> None:
        check_positive(
            sample_rate=sample_rate,
            n_fft=n_fft,
            win_length=win_length,
            hop_length=hop_length,
            n_mels=n_mels,
        )
        if f_max > sample_rate / 2:
            raise ValueError(
                f'f_max ({f_max} Hz) is above half the sample rate ({sample_rate} Hz).'
            )
        if not 0 <= f_min < f_max:
            raise ValueError(f'f_min must be from 0 to below f_max, got {f_min} Hz.')
        if win_length > n_fft:
            raise ValueError(f'win_length ({win_length}) is above n_fft ({n_fft}).')
        transform = torchaudio_transforms().MelSpectrogram(
            sample_rate=sample_rate,
            n_fft=n_fft,
            win_length=win_length,
            hop_length=hop_length,
            n_mels=n_mels,
            f_min=f_min,
            f_max=f_max,
            power=None,
            center=False,
        )
        super().__init__(transform, mean, std)
