"""Convolutional encoders of spectrograms."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule, Sequential
from torch import Tensor, nn

from mmxpl.registry import MODELS


@MODELS.register_module()
class SpectrogramEncoder(BaseModule):
    """A vision backbone with one input channel, pooled over time and frequency.

    This is the audio encoder of LVS and EZ-VSL when the backbone is a ResNet-18.

    Args:
        backbone (dict): config of a backbone that reads (B, 1, F, L), for
            example ``dict(type='mmdet.ResNet', depth=18, in_channels=1)``.
        out_channels (int): channels of the backbone's last output.
        pool (str): 'max' (EZ-VSL) or 'avg'.
        init_cfg (dict | list[dict], optional): how weights are initialised.
    """

    def __init__(
        self,
        backbone: dict,
        out_channels: int,
        pool: str = 'max',
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if pool not in ('max', 'avg'):
            raise ValueError(f"pool must be 'max' or 'avg', got '{pool}'.")
        self.backbone = MODELS.build(backbone)
        self.out_channels, self.pool = out_channels, pool

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Encodes (B, 1, F, L) spectrograms to (B, out_channels)."""
        features = self.backbone(spectrogram)[-1]
        if self.pool == 'max':
            return features.amax(dim=(2, 3))
        return features.mean(dim=(2, 3))


@MODELS.register_module()
class VGGishEncoder(BaseModule):
    """Stages of 3x3 convolutions and max-pooling over a log-mel spectrogram.

    With the default widths and depths the convolutions are those of VGGish
    (Hershey et al., ICASSP 2017). Normalisation is added for training from scratch,
    and time is pooled at the end instead of being cut into windows of 0.96 s, so that
    sounds may have any duration.

    Args:
        channels (Sequence[int]): channels of each stage; the last is
            ``out_channels``.
        depths (Sequence[int]): convolutions in each stage.
        norm_cfg (dict): normalisation. Defaults to ``dict(type='BN')``.
        init_cfg (dict | list[dict], optional): how weights are initialised. Defaults to
            Kaiming's normal for convolutions.
    """

    def __init__(
        self,
        channels: Sequence[int] = (64, 128, 256, 512),
        depths: Sequence[int] = (1, 1, 2, 2),
        norm_cfg: dict | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg or dict(type='Kaiming', layer='Conv2d'))
        if len(channels) != len(depths):
            raise ValueError(
                f'channels {tuple(channels)} and depths {tuple(depths)} differ in '
                'length.'
            )
        norm_cfg = norm_cfg or dict(type='BN')
        layers: list[nn.Module] = []
        previous = 1
        for width, depth in zip(channels, depths, strict=True):
            for _ in range(depth):
                conv = ConvModule(previous, width, 3, padding=1, norm_cfg=norm_cfg)
                layers.append(conv)
                previous = width
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
        self.layers = Sequential(*layers)
        self.out_channels = previous

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Encodes (B, 1, F, L) log-mel spectrograms to (B, out_channels).

        It is the mean over frequency of the maximum over time plus the mean over time.
        """
        features = self.layers(spectrogram)
        pooled = torch.add(features.amax(dim=3), features.mean(dim=3))
        return pooled.mean(dim=2)
