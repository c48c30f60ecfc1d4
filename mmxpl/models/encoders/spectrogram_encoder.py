"""Any 2-D backbone as an encoder of spectrograms."""

from mmengine.model import BaseModule
from torch import Tensor

from mmxpl.registry import MODELS


@MODELS.register_module()
class SpectrogramEncoder(BaseModule):
    """A vision backbone with one input channel, pooled over time and frequency.

    This is the audio encoder of LVS and EZ-VSL when the backbone is a ResNet-18.

    Args:
        backbone (dict): config of a backbone that reads (B, 1, F, L), for
            example ``dict(type='mmdet.ResNet', depth=18, in_channels=1)``.
        out_channels (int): channels of the backbone's last output.
        pool (str): 'max' (EZ-VSL) or 'avg'. Defaults to 'max'.
        init_cfg (dict, optional): how weights are initialised.
    """

    def __init__(
        self,
        backbone: dict,
        out_channels: int,
        pool: str = 'max',
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if pool not in ('max', 'avg'):
            raise ValueError(f"pool must be 'max' or 'avg', got '{pool}'.")
        self.backbone = MODELS.build(backbone)
        self.out_channels, self.pool = out_channels, pool

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Encodes sounds.

        Args:
            spectrogram (Tensor): (B, 1, F, L).

        Returns:
            Tensor: (B, out_channels).
        """
        features = self.backbone(spectrogram)[-1]
        if self.pool == 'max':
            return features.amax(dim=(2, 3))
        return features.mean(dim=(2, 3))
