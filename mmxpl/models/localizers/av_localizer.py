"""One audio-visual localizer: where in the frame is what is heard."""

import logging
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmxpl.registry import MODELS


class Localization(NamedTuple):
    """What a localizer computes of a batch.

    Attributes:
        logits (Tensor): (B, h, w), log-odds that a cell sounds.
        visual (Tensor): (B, D, h, w), embedding of every cell, of unit norm.
        audio (Tensor): (B, D), embedding of the sound, of unit norm.
    """

    logits: Tensor
    visual: Tensor
    audio: Tensor


@MODELS.register_module()
class AVLocalizer(BaseModule):
    """Cosine similarity between every cell of the frame and the sound.

    The probability of a cell is ``sigmoid((cosine - threshold) / temperature)``.
    That a sigmoid with an offset and a temperature turns the similarity into a
    map follows the tri-map of LVS (Chen et al., CVPR 2021, eq. 4).

    Args:
        visual_backbone (dict): config of a backbone that reads (B, 3, H, W) and
            returns a tuple of feature maps, the last of which is used: any of
            mmdet's, with its scope, such as ``dict(type='mmdet.ResNet', ...)``.
            Its strides decide the size of the map.
        visual_channels (int): channels of that feature map.
        audio_encoder (dict): config of an encoder that returns (B, C) and has
            ``out_channels``.
        audio_input (str): name of the preprocessor's front end that it reads.
        embed_dim (int): size D of the common space. Defaults to 512.
        threshold (float): initial cosine at which the probability is 0.5.
            Defaults to 0.1.
        temperature (float): initial width of the sigmoid. Defaults to 0.1.
        learn_calibration (bool): whether threshold and temperature are
            trained. Defaults to True.
        visual_dropout (float): share of the visual features that training sets to
            0 before the projection; 0.9 in SLAVC (Mo & Morgado, NeurIPS 2022).
            Defaults to 0.
        amp_dtype (str, optional): 'float16' or 'bfloat16', which the networks
            compute in, by autocast; weights stay in fp32, and so do the cosine
            and all that follows it. ``AmpOptimWrapper`` and ``--amp`` set it.
            Defaults to fp32, or to an autocast around the localizer.
        channels_last (bool): whether inputs and the weights of convolutions lie
            channels-last in memory, which most convolutions are faster on.
            A network with strided 1x1 convolutions of fewer than 16 input
            channels is left as it is, with a warning: their gradient is not
            safe on the CPU. Defaults to True.
        compile_cfg (dict, optional): arguments of ``torch.compile``, which the
            forward then goes through, such as ``dict(mode='max-autotune')``; an
            empty one for the defaults. Names of weights stay as they are.
            Defaults to no compilation.
        init_cfg (dict, optional): how weights are initialised.
    """

    def __init__(
        self,
        visual_backbone: dict,
        visual_channels: int,
        audio_encoder: dict,
        audio_input: str,
        embed_dim: int = 512,
        threshold: float = 0.1,
        temperature: float = 0.1,
        learn_calibration: bool = True,
        visual_dropout: float = 0.0,
        amp_dtype: str | None = None,
        channels_last: bool = True,
        compile_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if amp_dtype not in (None, 'float16', 'bfloat16'):
            raise ValueError(
                f"amp_dtype must be 'float16' or 'bfloat16', got '{amp_dtype}'."
            )
        self.amp_dtype = amp_dtype and getattr(torch, amp_dtype)
        self.visual_backbone = MODELS.build(visual_backbone)
        self.audio_encoder = MODELS.build(audio_encoder)
        self.audio_input = audio_input
        self.visual_dropout = visual_dropout
        self.visual_projection = nn.Conv2d(visual_channels, embed_dim, 1)
        self.audio_projection = nn.Linear(self.audio_encoder.out_channels, embed_dim)
        calibration = torch.tensor([threshold, temperature]).log_()
        calibration[0] = threshold
        # (threshold, log temperature): the logarithm keeps the width positive
        self.calibration = nn.Parameter(calibration, requires_grad=learn_calibration)
        if channels_last and (unsafe := _unsafe_in_channels_last(self)):
            channels_last = False
            print_log(
                'channels_last is off for a localizer, since the gradient of its '
                'strided 1x1 convolutions of fewer than 16 input channels '
                f'({", ".join(unsafe)}) would overrun memory on the CPU. Give them '
                '16 channels or avg_down=True, or set channels_last=False.',
                logger='current',
                level=logging.WARNING,
            )
        self.memory_format = (
            torch.channels_last if channels_last else torch.contiguous_format
        )
        if channels_last:
            self.to(memory_format=torch.channels_last)
        if compile_cfg is not None:
            self.compile(**compile_cfg)

    def forward(self, inputs: dict[str, Tensor]) -> Localization:
        """Localizes.

        Args:
            inputs (dict[str, Tensor]): ``img`` (B, 3, H, W), normalised, and
                the front end's output under the name ``audio_input``.

        Returns:
            Localization: log-odds and embeddings, in fp32.
        """
        img, sound = (
            inputs[name].contiguous(memory_format=self.memory_format)
            for name in ('img', self.audio_input)
        )
        with self._autocast(img.device.type):
            visual = self.visual_backbone(img)[-1]
            if self.visual_dropout:
                visual = F.dropout(visual, self.visual_dropout, self.training)
            visual = self.visual_projection(visual)
            audio = self.audio_projection(self.audio_encoder(sound))
        # bfloat16 keeps three digits, too few for a cosine over a temperature
        with torch.autocast(img.device.type, enabled=False):
            visual = F.normalize(visual.float(), dim=1)
            audio = F.normalize(audio.float(), dim=1)
            cosine = torch.einsum('bdhw,bd->bhw', visual, audio)
            threshold, log_temperature = self.calibration
            logits = (cosine - threshold) * torch.exp(-log_temperature)
        return Localization(logits, visual, audio)

    def _autocast(self, device: str) -> AbstractContextManager:
        """Autocast to the localizer's own type; without one, whatever is on."""
        if self.amp_dtype is None:
            return nullcontext()
        return torch.autocast(device, self.amp_dtype)


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
