"""One audio-visual localizer: where in the frame is what is heard."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
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
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
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

    def forward(self, inputs: dict[str, Tensor]) -> Localization:
        """Localizes.

        Args:
            inputs (dict[str, Tensor]): ``img`` (B, 3, H, W), normalised, and
                the front end's output under the name ``audio_input``.

        Returns:
            Localization: log-odds and embeddings.
        """
        # convolutions are about a third faster on channels-last memory
        img, sound = (
            inputs[name].contiguous(memory_format=torch.channels_last)
            for name in ('img', self.audio_input)
        )
        visual = self.visual_backbone(img)[-1]
        if self.visual_dropout:
            visual = F.dropout(visual, self.visual_dropout, self.training)
        visual = self.visual_projection(visual)
        audio = self.audio_projection(self.audio_encoder(sound))
        visual, audio = F.normalize(visual, dim=1), F.normalize(audio, dim=1)
        cosine = torch.einsum('bdhw,bd->bhw', visual, audio)
        threshold, log_temperature = self.calibration
        logits = (cosine - threshold) * torch.exp(-log_temperature)
        return Localization(logits, visual, audio)
