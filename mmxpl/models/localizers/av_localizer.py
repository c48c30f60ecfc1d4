"""Audio-visual localizer."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmxpl.registry import MODELS
from mmxpl.utils.checks import check_positive, check_share
from mmxpl.utils.errors import DataError

from .projection import AudioProjection, UnitNorm, VisualProjection

ENCODERS = ('visual_backbone', 'audio_encoder')


class Localization(NamedTuple):
    """Output of a localizer for a batch; embeddings are of unit norm."""

    logits: Tensor  # (B, h, w) log-odds that the sound comes from a cell
    visual: Tensor  # (B, D, h, w) embeddings of the cells
    audio: Tensor  # (B, D) embeddings of the sounds
    more_audio: Tensor  # (K, D) embeddings of the sounds without a frame


@MODELS.register_module()
class AVLocalizer(BaseModule):
    """Cosine similarity between every cell of the frame and the sound.

    The probability of a cell is ``sigmoid((cosine - threshold) / temperature)``, after
    the tri-map of LVS (Chen et al., CVPR 2021, eq. 4).

    Args:
        visual_backbone (dict): config of a backbone that reads (B, 3, H, W) and returns
            a tuple of feature maps, the finest first: one of mmdet's, with its scope,
            such as ``dict(type='mmdet.ResNet', ...)``, or one of
            :mod:`mmxpl.models.encoders`. All maps are used (see its ``out_indices``);
            the first one sets the size of the predicted map.
        audio_encoder (dict): config of an encoder that returns (B, C) and has
            ``out_channels``.
        audio_input (str, optional): name of the preprocessor's front end that it reads;
            left out for an encoder with its own front end (``reads_waveform``).
        embed_dim (int): size D of the common space.
        threshold (float): initial cosine at which the probability is 0.5.
        temperature (float): initial width of the sigmoid.
        learn_calibration (bool): whether threshold and temperature are trained.
        hidden_dim (int, optional): width of a hidden layer in the projections of frame
            and sound; without it they are linear.
        feature_norm (bool): whether features are standardised before the projections,
            see :class:`~.projection.VisualProjection`.
        visual_dropout (float): share of the visual features that training sets to 0
            before the projection; 0.9 in SLAVC (Mo & Morgado, NeurIPS 2022).
        channel_dropout (float): share of the channels of frame and sound that training
            sets to 0 before the projections.
        frozen (bool | Sequence[str]): modules that are not trained: they have no
            gradient, are not in the optimizer (see
            ``TrainableOptimWrapperConstructor``) and stay in evaluation mode, with
            their statistics of batch normalisation. True for both encoders, or dotted
            names, such as ``['audio_encoder', 'visual_backbone.layer1']``.
        deaf (bool): whether the sound is replaced by a constant, so that its embedding
            is one learnt vector: the reference for localization without listening.
        amp_dtype (str, optional): 'float16' or 'bfloat16' for the networks, by
            autocast; weights, the cosine and the logits stay in fp32.
            ``AmpOptimWrapper`` and ``--amp`` set it. By default fp32, or the autocast
            around the localizer.
        channels_last (bool): whether inputs and weights of convolutions have the
            channels-last memory format, which is faster for most. It is ignored, with a
            warning, for networks with strided 1x1 convolutions of fewer than 16 input
            channels, whose gradient is not safe on the CPU.
        compile_cfg (dict, optional): arguments of ``torch.compile`` for the forward,
            such as ``dict(mode='max-autotune')``. Names of weights do not change. No
            compilation by default.
        init_cfg (dict | list[dict], optional): how weights are initialised.
    """

    def __init__(
        self,
        visual_backbone: dict,
        audio_encoder: dict,
        audio_input: str | None = None,
        embed_dim: int = 512,
        threshold: float = 0.1,
        temperature: float = 0.1,
        learn_calibration: bool = True,
        hidden_dim: int | None = None,
        feature_norm: bool = False,
        visual_dropout: float = 0.0,
        channel_dropout: float = 0.0,
        frozen: bool | Sequence[str] = False,
        deaf: bool = False,
        amp_dtype: str | None = None,
        channels_last: bool = True,
        compile_cfg: dict | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        width = embed_dim if hidden_dim is None else hidden_dim
        check_positive(temperature=temperature, embed_dim=embed_dim, hidden_dim=width)
        check_share(visual_dropout=visual_dropout, channel_dropout=channel_dropout)
        if amp_dtype not in (None, 'float16', 'bfloat16'):
            raise ValueError(
                f"amp_dtype must be 'float16' or 'bfloat16', got '{amp_dtype}'."
            )
        self.amp_dtype = amp_dtype and getattr(torch, amp_dtype)
        self.visual_backbone = MODELS.build(visual_backbone)
        self.audio_encoder = MODELS.build(audio_encoder)
        self.audio_input = _input_of(self.audio_encoder, audio_input)
        self.deaf = deaf
        self.visual_projection = VisualProjection(
            channels_of(self.visual_backbone),
            embed_dim,
            hidden_dim,
            feature_norm,
            visual_dropout,
            channel_dropout,
        )
        self.audio_projection = AudioProjection(
            self.audio_encoder.out_channels,
            embed_dim,
            hidden_dim,
            feature_norm,
            channel_dropout,
        )
        calibration = torch.tensor([threshold, temperature]).log_()
        calibration[0] = threshold
        # (threshold, log temperature): the logarithm keeps the width positive
        self.calibration = nn.Parameter(calibration, requires_grad=learn_calibration)
        if channels_last and (unsafe := _unsafe_in_channels_last(self)):
            channels_last = False
            MMLogger.get_current_instance().warning(
                'channels_last is off for a localizer, since the gradient of its '
                'strided 1x1 convolutions of fewer than 16 input channels '
                f'({", ".join(unsafe)}) would overrun memory on the CPU. Give them '
                '16 channels or avg_down=True, or set channels_last=False.'
            )
        self.memory_format = (
            torch.channels_last if channels_last else torch.contiguous_format
        )
        if channels_last:
            self.to(memory_format=torch.channels_last)
        # in a list, so that they are not registered a second time
        self._frozen = self._find(ENCODERS if frozen is True else frozen or ())
        for module in self._frozen:
            module.requires_grad_(False).eval()
        if compile_cfg is not None:
            self.compile(**compile_cfg)

    def train(self, mode: bool = True) -> 'AVLocalizer':
        """Sets the mode of all modules that are not frozen."""
        self.training = mode
        for child in self.children():
            # frozen encoders have hundreds of modules, which stay as they are
            if child not in self._frozen:
                child.train(mode)
        for module in self._frozen:
            if module.training:
                module.eval()
        return self

    def encode_visual(self, img: Tensor) -> Sequence[Tensor]:
        """Encodes (B, 3, H, W) normalised frames to (B, C_k, h_k, w_k) features."""
        return self.visual_backbone(img.contiguous(memory_format=self.memory_format))

    def encode_audio(self, inputs: dict[str, Tensor]) -> Tensor:
        """Encodes sounds, the encoder's entry of ``inputs``, to (B, C)."""
        if self.audio_input not in inputs:
            raise DataError(
                f"audio_input of a localizer is '{self.audio_input}', and the inputs "
                f'are {", ".join(inputs)}. Name one of them, or add such a front end '
                'to model.data_preprocessor.audio.'
            )
        sound = inputs[self.audio_input]
        if sound.dim() == 4:
            sound = sound.contiguous(memory_format=self.memory_format)
        return self.audio_encoder(sound)

    def forward(self, inputs: dict[str, Tensor]) -> Localization:
        """Predicts maps.

        Args:
            inputs (dict[str, Tensor]): ``img`` (B, 3, H, W), normalised, and the
                output of the front end under the name ``audio_input``, or the
                waveform ``audio`` (B, T). Cached features, ``visual.0``,
                ``visual.1`` ... of (B, C_k, h_k, w_k) and ``sound`` of (B, C),
                replace the encoders. K more sounds than frames are only embedded.

        Returns:
            Localization: log-odds and embeddings, in fp32.
        """
        levels = [
            inputs[name].contiguous(memory_format=self.memory_format)
            for name in sorted(inputs)
            if name.startswith('visual.')
        ]
        device = next(iter(inputs.values())).device.type
        low = self.amp_dtype
        with nullcontext() if low is None else torch.autocast(device, low):
            levels = levels or self.encode_visual(inputs['img'])
            sound = inputs['sound'] if 'sound' in inputs else self.encode_audio(inputs)
            if self.deaf:
                sound = torch.zeros_like(sound)
            visual = self.visual_projection(levels)
            audio = self.audio_projection(sound)
        with torch.autocast(device, enabled=False):
            visual = UnitNorm.apply(visual.float())
            audio = F.normalize(audio.float(), dim=1)
        count = visual.shape[0]  # symbolic in an exported graph, which len() is not
        own, more = audio[:count], audio[count:]
        return Localization(self.compare(visual, own), visual, own, more)

    def compare(self, visual: Tensor, audio: Tensor) -> Tensor:
        """Computes the (B, h, w) fp32 log-odds that a sound comes from a cell.

        Cells (B, D, h, w) and sounds (B, D) are embeddings of unit norm.
        """
        # bfloat16 keeps three digits, too few for a cosine over a temperature
        with torch.autocast(visual.device.type, enabled=False):
            # its gradient takes a fifth of the time of an einsum's on a CPU
            cosine = torch.matmul(audio[:, None], visual.flatten(2))
            cosine = cosine.view(-1, *visual.shape[2:])
            threshold, log_temperature = self.calibration
            return (cosine - threshold) * torch.exp(-log_temperature)

    def _find(self, names: Sequence[str]) -> list[nn.Module]:
        modules = dict(self.named_modules())
        unknown = sorted(set(names) - set(modules))
        if unknown:
            stages = [
                name
                for name in modules
                if name.split('.')[0] in ENCODERS and name.count('.') <= 1
            ]
            raise ValueError(
                f'frozen: an AVLocalizer has no module {unknown}; its encoders and '
                f'their stages are {stages}.'
            )
        return [modules[name] for name in names]


def channels_of(backbone: nn.Module) -> list[int]:
    """Finds the channels of each of a backbone's feature maps.

    A backbone without a sequence ``out_channels`` is run on a black frame of 64 pixels.
    """
    known = getattr(backbone, 'out_channels', None)
    if isinstance(known, Sequence):
        return list(known)
    training = backbone.training
    backbone.eval()  # returns None from mmdet's backbones
    with torch.no_grad():
        maps = backbone(torch.zeros(1, 3, 64, 64))
    backbone.train(training)
    return [x.shape[1] for x in maps]


def _input_of(encoder: nn.Module, audio_input: str | None) -> str:
    """Name of the input that an audio encoder reads."""
    kind = type(encoder).__name__
    if getattr(encoder, 'reads_waveform', False):
        if audio_input is not None:
            raise ValueError(
                f"audio_input='{audio_input}' has no effect: {kind} computes its own "
                'spectrogram from the waveform. Leave it out.'
            )
        return 'audio'
    if audio_input is None:
        raise ValueError(
            f'{kind} reads a spectrogram: set audio_input to the name of a front end '
            'of the data preprocessor.'
        )
    return audio_input


def _unsafe_in_channels_last(network: nn.Module) -> list[str]:
    """Names of convolutions whose gradient may overrun memory in channels-last.

    oneDNN 3.12, which PyTorch 2.13 computes with on x86, writes past its workspace
    in the weight gradient of a strided 1x1 convolution whose input channels do not
    fill a block, of 16 with AVX-512 and of 8 with AVX2: crashes, endless waits or
    wrong gradients, with any number of threads
    (https://github.com/uxlfoundation/oneDNN/issues/6035). Whether the network
    will be trained on the CPU is not known when it is built.
    """
    return [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d)
        and set(module.kernel_size) == {1}
        and max(module.stride) > 1
        and module.in_channels < 16
    ]
