"""Audio models of Hugging Face's transformers, with front ends in PyTorch."""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmxpl.compat import torchaudio_transforms
from mmxpl.registry import MODELS

from ..pretrained import (
    HFModule,
    PretrainedError,
    import_optional,
    read_config,
    weights_error,
)

if TYPE_CHECKING:
    from transformers import FeatureExtractionMixin


class FbankFrontend(nn.Module):
    """Log-mel filter banks of AST (Gong et al., Interspeech 2021).

    Those of Kaldi: frames of 25 ms every 10 ms, mean removed, pre-emphasis of 0.97,
    Hann's window; padded or cut to ``max_length`` frames, then normalised. ``settings``
    are an ``ASTFeatureExtractor``.
    """

    def __init__(self, settings: 'FeatureExtractionMixin') -> None:
        super().__init__()
        torchaudio_transforms()  # explains problems of torchaudio
        from torchaudio.compliance import kaldi

        self.sample_rate = settings.sampling_rate
        self.window_size = self.sample_rate * 25 // 1000
        self.hop_length = self.sample_rate * 10 // 1000
        self.n_fft = 1 << (self.window_size - 1).bit_length()
        self.max_length = settings.max_length
        self.mean, self.std = (
            (settings.mean, 2 * settings.std) if settings.do_normalize else (0.0, 1.0)
        )
        window = torch.hann_window(self.window_size, periodic=False)
        banks, _ = kaldi.get_mel_banks(
            settings.num_mel_bins, self.n_fft, self.sample_rate, 20, 0, 100, -500, 1
        )
        self.register_buffer('window', window, persistent=False)
        # Kaldi's banks leave out the highest frequency
        self.register_buffer('banks', F.pad(banks, (0, 1)).T, persistent=False)

    def num_frames(self, samples: int) -> int:
        """Counts the frames, without padding, of a sound of so many samples."""
        frames = 1 + (samples - self.window_size) // self.hop_length
        return min(frames, self.max_length)

    def forward(self, waveform: Tensor) -> Tensor:
        """Computes (B, max_length, mel bands) float32 filter banks.

        Waveforms are (B, T) in [-1, 1], of one window at least.
        """
        frames = waveform.unfold(-1, self.window_size, self.hop_length)
        frames = frames[:, : self.max_length]
        frames = frames - frames.mean(dim=-1, keepdim=True)
        before = F.pad(frames, (1, 0), mode='replicate')[..., :-1]
        frames = (frames - 0.97 * before) * self.window
        power = torch.fft.rfft(frames, self.n_fft).abs().square()
        fbank = (power @ self.banks).clamp_min(torch.finfo(torch.float32).eps).log()
        fbank = F.pad(fbank, (0, 0, 0, self.max_length - fbank.shape[1]))
        return (fbank - self.mean) / self.std


class ClapFrontend(nn.Module):
    """Log-mel spectrogram of CLAP's HTS-AT (Wu et al., ICASSP 2023).

    Short sounds are repeated and padded as ``padding`` of ``settings``, a
    ``ClapFeatureExtractor``, says. Long ones are cut to their middle, where the
    original cuts at random. With ``fusion`` there are four views, equal here.
    """

    def __init__(self, settings: 'FeatureExtractionMixin', fusion: bool) -> None:
        super().__init__()
        self.sample_rate = settings.sampling_rate
        self.n_fft, self.hop_length = settings.fft_window_size, settings.hop_length
        self.num_samples = settings.nb_max_samples
        self.padding, self.views = settings.padding, 4 if fusion else 1
        banks = settings.mel_filters_slaney
        if settings.truncation == 'fusion':
            banks = settings.mel_filters
        banks = torch.from_numpy(banks).double()
        self.register_buffer('banks', banks, persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Computes (B, views, L, mel bands) float32 spectrograms, in decibels.

        Waveforms are (B, T) in [-1, 1].
        """
        # as the original; float32 would differ by up to 0.8 dB in quiet parts
        waveform = self._fit(waveform).double()
        window = torch.hann_window(
            self.n_fft, dtype=waveform.dtype, device=waveform.device
        )
        spectrum = torch.stft(
            waveform, self.n_fft, self.hop_length, window=window, return_complex=True
        )
        mel = spectrum.abs().square().transpose(1, 2) @ self.banks
        decibels = 10 * mel.clamp_min(1e-10).log10()
        return decibels.float()[:, None].expand(-1, self.views, -1, -1)

    def _fit(self, waveform: Tensor) -> Tensor:
        samples, wanted = waveform.shape[1], self.num_samples
        if samples >= wanted:
            start = (samples - wanted) // 2
            return waveform[:, start : start + wanted]
        if self.padding == 'repeat':
            return waveform.repeat(1, wanted // samples + 1)[:, :wanted]
        if self.padding == 'repeatpad':
            waveform = waveform.repeat(1, wanted // samples)
        return F.pad(waveform, (0, wanted - waveform.shape[1]))


class WaveformFrontend(nn.Module):
    """Waveform of HuBERT and wav2vec 2.0, standardised if the extractor does so."""

    def __init__(self, settings: 'FeatureExtractionMixin') -> None:
        super().__init__()
        self.sample_rate = settings.sampling_rate
        self.do_normalize = settings.do_normalize

    def forward(self, waveform: Tensor) -> Tensor:
        """Standardises each of (B, T) sounds."""
        if not self.do_normalize:
            return waveform
        variance, mean = torch.var_mean(waveform, dim=-1, correction=0, keepdim=True)
        return (waveform - mean) / (variance + 1e-7).sqrt()


# model type to the name of its feature extractor
_EXTRACTORS = {
    'audio-spectrogram-transformer': 'ASTFeatureExtractor',
    'clap_audio_model': 'ClapFeatureExtractor',
} | dict.fromkeys(
    ('data2vec-audio', 'hubert', 'unispeech-sat', 'wav2vec2', 'wavlm'),
    'Wav2Vec2FeatureExtractor',
)


@MODELS.register_module()
class HFAudioEncoder(HFModule):
    """AST, CLAP's sound tower, HuBERT, wav2vec 2.0 or WavLM, and its own front end.

    It reads the waveform: the front end is the model's own feature extractor, computed
    for whole batches on the device. Sounds are resampled to the model's rate.

    Weights are loaded by ``init_weights``, when a training starts. transformers must be
    installed.

    Args:
        pretrained (str, optional): folder with ``config.json``,
            ``preprocessor_config.json`` and weights, or a name on the hub, such as
            'MIT/ast-finetuned-audioset-10-10-0.4593', which is downloaded.
        config (dict, optional): with ``model_type`` the whole config, so that
            ``pretrained`` is needed only to start a training from its weights; without
            it, changes to the pretrained config.
        front_end (dict, optional): settings of the feature extractor if ``config`` is
            whole, or changes to the pretrained ones.
        sample_rate (int): sample rate of the waveforms, in Hz.
        pool (str): 'avg' or 'max' over time without padding, after the mean over
            frequency; or 'model' for the pooled output of AST (its class tokens) and
            CLAP.
        init_cfg (dict | list[dict], optional): how weights are initialised, instead of
            ``pretrained``, for weights saved by this encoder.

    Attributes:
        out_channels (int): size of the embedding.

    Raises:
        ImportError: If transformers or torchaudio cannot be imported.
        ValueError: If the model is not named or not one of these.
        PretrainedError: If the pretrained configs cannot be read.
    """

    reads_waveform = True

    def __init__(
        self,
        pretrained: str | None = None,
        config: dict | None = None,
        front_end: dict | None = None,
        sample_rate: int = 16000,
        pool: str = 'avg',
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(pretrained, config, init_cfg)
        read = read_config(pretrained, config)
        read = getattr(read, 'audio_config', read)  # of CLAP
        self._model_type = read.model_type
        if self._model_type not in _EXTRACTORS:
            raise ValueError(
                f"HFAudioEncoder has no front end for '{self._model_type}', only for "
                f'{sorted(_EXTRACTORS)}.'
            )
        if pool not in ('avg', 'max', 'model') or (
            pool == 'model'
            and _EXTRACTORS[self._model_type] == 'Wav2Vec2FeatureExtractor'
        ):
            raise ValueError(
                "pool must be 'avg', 'max' or, for AST and CLAP, 'model'; got "
                f"'{pool}' for {self._model_type}."
            )
        self.pool = pool
        transformers = import_optional('transformers')
        make = transformers.AutoModel.from_config
        if self._model_type == 'clap_audio_model':  # AutoModel does not know it
            make = transformers.ClapAudioModel
        self.net = make(read).float()
        # so that MMEngine does not initialise its weights
        self.net.is_init = True
        self._settings = dict(front_end or {})
        settings = self._extractor(pretrained if self._reads_settings else None)
        self.front_end = self._front_end(settings)
        self.sample_rate = sample_rate
        self.resample = nn.Identity()
        if sample_rate != self.front_end.sample_rate:
            self.resample = torchaudio_transforms().Resample(
                sample_rate, self.front_end.sample_rate
            )
            # computed from the two rates, so no weight
            kernel = self.resample.kernel
            self.resample.register_buffer('kernel', kernel, persistent=False)
        self.out_channels = (
            self.net.audio_encoder.num_features
            if self._model_type == 'clap_audio_model'
            else read.hidden_size
        )

    def _extractor(self, pretrained: str | None) -> 'FeatureExtractionMixin':
        """Reads or makes the feature extractor, whose settings the front end has."""
        transformers = import_optional('transformers')
        extractor = getattr(transformers, _EXTRACTORS[self._model_type])
        unknown = set(self._settings) - set(extractor().to_dict())
        if unknown:
            raise ValueError(
                f'front_end: {extractor.__name__} has no {sorted(unknown)}.'
            )
        if pretrained is None:
            return extractor(**self._settings)
        try:
            return extractor.from_pretrained(pretrained, **self._settings)
        except Exception as error:  # whatever a network, a hub or a file throws
            raise weights_error(
                pretrained,
                error,
                'Its preprocessor_config.json sets the front end: copy that file '
                'into the folder too.',
            ) from error

    def _front_end(self, settings: 'FeatureExtractionMixin') -> nn.Module:
        """Makes the front end and checks that its output fits the model."""
        config = self.net.config
        if self._model_type == 'clap_audio_model':
            bands, wanted = settings.feature_size, config.num_mel_bins
            front_end = ClapFrontend(settings, config.enable_fusion)
        elif self._model_type == 'audio-spectrogram-transformer':
            bands = (settings.num_mel_bins, settings.max_length)
            wanted = (config.num_mel_bins, config.max_length)
            front_end = FbankFrontend(settings)
        else:
            return WaveformFrontend(settings)
        if bands != wanted:
            raise ValueError(
                f'The front end gives {bands} mel bands (and frames), the config of '
                f'the model says {wanted}: set them in front_end.'
            )
        return front_end

    def _check_settings(self) -> None:
        """Compares the front end of the config with that of the folder."""
        given = self._extractor(None).to_dict()
        other = {
            key: value
            for key, value in self._extractor(self.pretrained).to_dict().items()
            if key in given and value != given[key]
        }
        if other:
            raise PretrainedError(
                f"The feature extractor of '{self.pretrained}' has {other}, and the "
                'config of HFAudioEncoder does not: set them in front_end.'
            )

    def forward(self, waveform: Tensor) -> Tensor:
        """Encodes (B, T) waveforms in [-1, 1] to (B, out_channels)."""
        with torch.autocast(waveform.device.type, enabled=False):
            waveform = self.resample(waveform.float())
            features = self.front_end(waveform)
        options = {}
        if self._model_type == 'clap_audio_model':
            # none of the views is a crop of a longer sound
            longer = features.new_zeros(len(features), 1, dtype=torch.bool)
            options = dict(is_longer=longer)
        out = self.net(features, **options)
        if self.pool == 'model':
            return out.pooler_output
        states = self._states(out.last_hidden_state, waveform.shape[1])
        return states.amax(dim=1) if self.pool == 'max' else states.mean(dim=1)

    def _states(self, states: Tensor, samples: int) -> Tensor:
        """Converts states to (B, time, C) without padding."""
        if self._model_type == 'clap_audio_model':
            return states.mean(dim=2).transpose(1, 2)
        if self._model_type != 'audio-spectrogram-transformer':
            return states
        config = self.net.config
        rows = 1 + (config.num_mel_bins - config.patch_size) // config.frequency_stride
        columns = 1 + (config.max_length - config.patch_size) // config.time_stride
        # patches come after two class tokens, frequency by frequency
        states = states[:, 2:].unflatten(1, (rows, columns)).mean(dim=1)
        frames = self.front_end.num_frames(samples)
        heard = 1 + (frames - config.patch_size) // config.time_stride
        return states[:, : max(heard, 1)]
