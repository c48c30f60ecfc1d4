"""EfficientNet-Lite, a visual backbone with ImageNet weights."""

import math
from collections.abc import Sequence

from mmcv.cnn import ConvModule
from mmdet.models.layers import InvertedResidual
from mmdet.models.utils import make_divisible
from mmengine.model import BaseModule, ModuleList, Sequential
from torch import Tensor

from mmxpl.registry import MODELS

from ..pretrained import Renormalize

# width and depth, as multiples of lite0's
ARCHS = {
    'lite0': (1.0, 1.0),
    'lite1': (1.0, 1.1),
    'lite2': (1.1, 1.2),
    'lite3': (1.2, 1.4),
    'lite4': (1.4, 1.8),
}
# layers after the stem, each of (kernel, expansion, channels, blocks, stride)
LAYERS = (
    ((3, 1, 16, 1, 1),),
    ((3, 6, 24, 2, 2),),
    ((5, 6, 40, 2, 2),),
    ((3, 6, 80, 3, 2), (5, 6, 112, 3, 1)),
    ((5, 6, 192, 4, 2), (3, 6, 320, 1, 1)),
)
STEM_CHANNELS = 32


@MODELS.register_module()
class EfficientNetLite(BaseModule):
    """EfficientNet without squeeze-and-excitation and with ReLU6.

    The networks of TensorFlow's
    https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
    without the last convolution and the classifier; they pad as TensorFlow does.
    ``tools/model_converters/pretrained.py`` makes checkpoints of ImageNet weights
    for lite0, lite1 and lite2. Layers are counted as in ``mmdet.EfficientNet``; their
    channels are:

    | layer | stride | lite0 | lite1 | lite2 | lite3 | lite4 |
    | --- | --- | --- | --- | --- | --- | --- |
    | 0 | 2 | 32 | 32 | 32 | 32 | 32 |
    | 1 | 2 | 16 | 16 | 16 | 24 | 24 |
    | 2 | 4 | 24 | 24 | 24 | 32 | 32 |
    | 3 | 8 | 40 | 40 | 48 | 48 | 56 |
    | 4 | 16 | 112 | 112 | 120 | 136 | 160 |
    | 5 | 32 | 320 | 320 | 352 | 384 | 448 |

    Frames normalised with ImageNet's mean and deviation, the default of
    :class:`AVDataPreprocessor`, are converted to ``(rgb - 127) / 128``, which the
    weights were trained with.

    Args:
        arch (str): 'lite0' to 'lite4'.
        out_indices (Sequence[int]): layers whose maps are returned, ascending; later
            ones are not built. At 224 px layer 4 has 14x14 cells, layer 5 7x7.
        init_cfg (dict | list[dict], optional): how weights are initialised.

    Attributes:
        out_channels (tuple[int]): channels of each returned map.
    """

    def __init__(
        self,
        arch: str = 'lite0',
        out_indices: Sequence[int] = (5,),
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if arch not in ARCHS:
            raise ValueError(f"arch must be one of {', '.join(ARCHS)}, got '{arch}'.")
        indices = tuple(out_indices)
        if not indices or list(indices) != sorted(set(indices) & set(range(6))):
            raise ValueError(
                f'out_indices must be layers from 0 to 5, ascending, got {indices}.'
            )
        self.out_indices = indices
        self.layers = ModuleList(_layers(*ARCHS[arch])[: indices[-1] + 1])
        last = [self.layers[i][-1] for i in indices]
        self.out_channels = tuple(
            getattr(block, 'linear_conv', block).out_channels for block in last
        )
        self.normalize = Renormalize((127 / 255,) * 3, (128 / 255,) * 3)

    def forward(self, img: Tensor) -> tuple[Tensor, ...]:
        """Encodes (B, 3, H, W) RGB frames, normalised with ImageNet's mean and std.

        Returns:
            tuple[Tensor]: one (B, C, ceil(H / stride), ceil(W / stride)) map per out
            index.
        """
        x = self.normalize(img)
        maps = []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in self.out_indices:
                maps.append(x)
        return tuple(maps)


def _layers(width: float, depth: float) -> list[BaseModule]:
    """Builds the stem and the layers after it."""
    stem = ConvModule(3, STEM_CHANNELS, 3, 2, **_parts(stride=2))
    layers, previous = [Sequential(stem)], STEM_CHANNELS
    for stages in LAYERS:
        blocks = []
        for stage in stages:
            kernel, expansion, channels, count, stride = stage
            # the depth of the outermost stages is the same in all of them
            if stage not in (LAYERS[0][0], LAYERS[-1][-1]):
                count = math.ceil(depth * count)
            channels = make_divisible(width * channels, 8)
            for index in range(count):
                step = stride if index == 0 else 1
                block = InvertedResidual(
                    previous,
                    channels,
                    mid_channels=previous * expansion,
                    kernel_size=kernel,
                    stride=step,
                    with_expand_conv=expansion != 1,
                    **_parts(step),
                )
                blocks.append(block)
                previous = channels
        layers.append(Sequential(*blocks))
    return layers


def _parts(stride: int) -> dict:
    """Settings of a convolution with its normalisation and activation."""
    return dict(
        # with stride 1 TensorFlow pads both sides alike, as PyTorch does
        conv_cfg=dict(type='Conv2dAdaptivePadding') if stride > 1 else None,
        norm_cfg=dict(type='BN', eps=1e-3, momentum=0.01),
        act_cfg=dict(type='ReLU6'),
    )
