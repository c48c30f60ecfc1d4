"""Vision models of Hugging Face's transformers as visual backbones."""

import inspect
from collections.abc import Sequence

import torch
from mmengine.logging import MMLogger
from torch import Tensor, nn

from mmxpl.registry import MODELS

from ..pretrained import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    HFModule,
    PretrainedError,
    Renormalize,
    import_optional,
    read_config,
)


@MODELS.register_module()
class HFVisionBackbone(HFModule):
    """Feature maps of DINOv2, DINOv3, CLIP's or SigLIP's vision tower, ViT, Swin ...

    The model is built by transformers' ``AutoBackbone`` if it has one, otherwise by
    ``AutoModel``; of CLIP and similar models the vision tower. Tokens become a map of
    patches, without class and register tokens. Frames normalised with ImageNet's mean
    and deviation, the default of ``AVDataPreprocessor``, are converted to the model's
    normalisation.

    Weights are loaded by ``init_weights``, when a training starts. transformers must be
    installed.

    Args:
        pretrained (str, optional): folder with ``config.json`` and weights, or a name
            on the hub, such as 'facebook/dinov2-small', which is downloaded.
        config (dict, optional): with ``model_type``, such as
            ``dict(model_type='dinov2', hidden_size=384, ...)``, the whole config, so
            that ``pretrained`` is needed only to start a training from its weights;
            without it, changes to the pretrained config.
        out_indices (Sequence[int]): levels that are returned; 0 is the embedding or
            stem, negative ones count from the last.
        mean (Sequence[float], optional): RGB mean in [0, 1] that the model expects.
            Defaults to that of the pretrained image processor, or ImageNet's.
        std (Sequence[float], optional): RGB deviation, likewise.
        init_cfg (dict | list[dict], optional): how weights are initialised, instead of
            ``pretrained``, for weights saved by this backbone.

    Raises:
        ImportError: If transformers is not installed.
        ValueError: If the model is not named, gives no maps, or one of ``mean`` and
            ``std`` is missing.
        PretrainedError: If the pretrained config cannot be read.
    """

    def __init__(
        self,
        pretrained: str | None = None,
        config: dict | None = None,
        out_indices: Sequence[int] = (-1,),
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(pretrained, config, init_cfg)
        if (mean is None) != (std is None):
            raise ValueError('Give mean and std, or neither.')
        read = read_config(pretrained, config)
        # the vision tower of CLIP and similar models
        read = getattr(read, 'vision_config', read)
        self.out_indices = tuple(out_indices)
        self.net = self._create(read).float()
        if self.net.main_input_name != 'pixel_values':
            raise ValueError(
                f'{type(self.net).__name__} does not read images: name a vision model.'
            )
        # so that MMEngine does not initialise its weights
        self.net.is_init = True
        self._reads_settings = self._reads_settings and mean is None
        if self._reads_settings and pretrained:
            mean, std = image_normalization(pretrained)
        self.normalize = Renormalize(mean or IMAGENET_MEAN, std or IMAGENET_STD)
        self._probe()

    def _create(self, config) -> nn.Module:
        """Makes the network from the config of its own model type."""
        transformers = import_optional('transformers')
        mapping = transformers.models.auto.modeling_auto.MODEL_FOR_BACKBONE_MAPPING
        if type(config) in mapping:
            levels = len(config.stage_names)
            config.out_indices = [i % levels for i in self.out_indices]
            return transformers.AutoBackbone.from_config(config)
        try:
            return transformers.AutoModel.from_config(config, add_pooling_layer=False)
        except TypeError:
            return transformers.AutoModel.from_config(config)

    def _probe(self) -> None:
        """Finds channels and strides with a black frame."""
        known = inspect.signature(self.net.forward).parameters
        self._options = {}
        if 'interpolate_pos_encoding' in known:
            self._options['interpolate_pos_encoding'] = True
        if self.out_indices != (-1,):
            self._options['output_hidden_states'] = True
        size = 224  # a multiple of the strides 14, 16 and 32
        self.net.eval()
        with torch.no_grad():
            maps = self(torch.zeros(1, 3, size, size))
        self.net.train()
        self.out_channels = tuple(x.shape[1] for x in maps)
        self.strides = tuple(size // x.shape[2] for x in maps)

    def _check_settings(self) -> None:
        """Compares the normalisation of the config with that of the folder."""
        mean, std = image_normalization(self.pretrained)
        own = self.normalize
        if torch.allclose(
            torch.tensor([own.mean, own.std]), torch.tensor([mean, std]), atol=1e-3
        ):
            return
        raise PretrainedError(
            f"The image processor of '{self.pretrained}' has mean {mean} and std "
            f'{std}; the config of HFVisionBackbone gives {own.mean} and {own.std}. '
            'Set mean and std.'
        )

    def forward(self, img: Tensor) -> tuple[Tensor, ...]:
        """Computes features of (B, 3, H, W) frames, normalised as ImageNet's.

        Returns:
            tuple[Tensor, ...]: (B, C_k, h_k, w_k) of the levels ``out_indices``, with
            ``out_channels`` channels at ``strides``.
        """
        out = self.net(self.normalize(img), **self._options)
        if 'feature_maps' in out:
            return tuple(out.feature_maps)
        levels = list(out.get('hidden_states') or [None])
        levels[-1] = out.last_hidden_state
        return tuple(self._to_map(levels[i], img.shape[2:]) for i in self.out_indices)

    def _to_map(self, tokens: Tensor, size: Sequence[int]) -> Tensor:
        """Converts tokens to a map; class and register tokens come first."""
        if tokens.dim() == 4:
            return tokens
        patch = getattr(self.net.config, 'patch_size', None)
        patch = patch if isinstance(patch, Sequence) else (patch, patch)
        rows, columns = (n // p if p else 0 for n, p in zip(size, patch, strict=True))
        count = rows * columns
        if not 0 < count <= tokens.shape[1]:
            raise ValueError(
                f'{type(self.net).__name__} gives {tokens.shape[1]} tokens for a frame '
                f'of {size[0]} x {size[1]} pixels, which do not form a map of patches.'
            )
        tokens = tokens[:, tokens.shape[1] - count :].transpose(1, 2)
        return tokens.reshape(len(tokens), -1, rows, columns)


def image_normalization(pretrained: str) -> tuple[Sequence[float], Sequence[float]]:
    """Reads mean and deviation, in [0, 1], of a pretrained image processor.

    If there is none, they are ImageNet's, with a line in the log.
    """
    transformers = import_optional('transformers')
    try:
        processor = transformers.AutoImageProcessor.from_pretrained(pretrained)
    except OSError:
        MMLogger.get_current_instance().warning(
            f"'{pretrained}' has no image processor: frames are given to it with "
            "ImageNet's mean and std. Set mean and std if it expects others."
        )
        return IMAGENET_MEAN, IMAGENET_STD
    # factor of a frame in [0, 1]
    scale = 255 * (processor.rescale_factor if processor.do_rescale else 1)
    mean, std = (0.0,) * 3, (1.0,) * 3
    if processor.do_normalize:
        mean, std = processor.image_mean, processor.image_std
    return tuple(x / scale for x in mean), tuple(x / scale for x in std)
