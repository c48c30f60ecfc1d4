"""Models of timm as visual backbones."""

from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmxpl.registry import MODELS

from ..pretrained import PretrainedError, Renormalize, import_optional, weights_error


@MODELS.register_module()
class TimmBackbone(BaseModule):
    """Feature maps of a timm model: convolutional, ViT, DINOv2, a tower of CLIP.

    Tokens of a transformer become a map of patches, without class and register tokens,
    after the model's last normalisation. Frames normalised with ImageNet's mean and
    deviation, the default of ``AVDataPreprocessor``, are converted to the model's
    normalisation. If the model allows it, frames may have another size than in its
    training.

    Weights are loaded by ``init_weights``, when a training starts: a trained checkpoint
    is tested without them. timm must be installed.

    Args:
        model_name (str): name in timm, with or without the tag of its weights,
            such as 'resnet50' or 'vit_small_patch14_dinov2.lvd142m';
            'local-dir:FOLDER' for a folder with timm's ``config.json``.
        pretrained (bool): whether training starts from timm's weights, which are
            downloaded.
        checkpoint_path (str, optional): file with published weights of this model
            (safetensors, PyTorch, NumPy) from which training starts; the
            classification head is left out.
        out_indices (Sequence[int]): levels that are returned, the finest first;
            negative ones count from the last.
        init_cfg (dict | list[dict], optional): how weights are initialised, instead of
            the two above, for weights saved by this backbone.
        **kwargs: arguments of ``timm.create_model``: ``img_size`` of a model that
            reads one size only, ``drop_path_rate``, ``output_stride``, ``in_chans``
            (unless it is 3, inputs are not converted) ...

    Raises:
        ImportError: If timm is not installed.
        ValueError: If more than one source of weights is given.
    """

    def __init__(
        self,
        model_name: str,
        pretrained: bool = False,
        checkpoint_path: str | None = None,
        out_indices: Sequence[int] = (-1,),
        init_cfg: dict | list | None = None,
        **kwargs,
    ) -> None:
        super().__init__(init_cfg)
        if sum(map(bool, (pretrained, checkpoint_path, init_cfg))) > 1:
            raise ValueError(
                'pretrained, checkpoint_path and init_cfg each say where weights come '
                f'from: give {model_name} one of them.'
            )
        self.model_name, self.kwargs = model_name, kwargs
        self.pretrained, self.checkpoint_path = pretrained, checkpoint_path
        self.out_indices = tuple(out_indices)
        self.net = self._create()
        own = self.net.model.pretrained_cfg
        self.normalize = (
            Renormalize(own['mean'], own['std'])
            if kwargs.get('in_chans', 3) == 3
            else nn.Identity()
        )
        self.out_channels = tuple(self.net.feature_info.channels())
        self.strides = tuple(self.net.feature_info.reduction())

    def _create(self, **weights) -> nn.Module:
        """Makes the network, with weights if timm's arguments name them."""
        timm = import_optional('timm')
        from timm.models._features import FeatureGetterNet

        # the head is not used, whatever the number of its classes
        kwargs = dict(num_classes=0) | self.kwargs | weights
        try:
            model = timm.create_model(
                self.model_name, **(dict(dynamic_img_size=True) | kwargs)
            )
        except TypeError as error:
            if 'dynamic_img_size' not in str(error):
                raise
            model = timm.create_model(self.model_name, **kwargs)
        return FeatureGetterNet(
            model, out_indices=list(self.out_indices), norm=hasattr(model, 'norm')
        )

    def init_weights(self) -> None:
        """Loads the weights that training starts from.

        Raises a PretrainedError if they cannot be loaded or are of another model.
        """
        if self.pretrained or self.checkpoint_path:
            self._load()
        super().init_weights()

    def _load(self) -> None:
        """Copies the weights of a model that timm has loaded."""
        path = self.checkpoint_path
        overlay = None
        if path is not None:
            if not Path(path).is_file():
                raise PretrainedError(
                    f"The checkpoint_path '{path}' of {self.model_name} is not a file."
                )
            overlay = dict(file=path, custom_load=path.endswith('.npz'))
        seed = torch.initial_seed()
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                blank = self._create()
                torch.manual_seed(seed)
                net = self._create(pretrained=True, pretrained_cfg_overlay=overlay)
        except Exception as error:  # whatever a network, a hub or a file throws
            raise weights_error(
                path or self.model_name, error, self._remedy()
            ) from error
        # timm ignores weights with other names: those missing in the file are as drawn
        same = [
            name
            for (name, drawn), loaded in zip(
                blank.named_parameters(), net.parameters(), strict=True
            )
            if drawn.requires_grad
            and drawn.unique().numel() > 1
            and torch.equal(drawn, loaded)
        ]
        if same:
            raise PretrainedError(
                f"'{path or self.model_name}' does not hold the weights of "
                f'{self.model_name}: {len(same)} are not in it, such as '
                f"'{same[0].removeprefix('model.')}'. Take the file of that model."
            )
        self.net.load_state_dict(net.state_dict())

    def _remedy(self) -> str:
        if self.checkpoint_path is not None:
            return f'Give a file that holds the weights of {self.model_name}.'
        own = self.net.model.pretrained_cfg
        hub = own.get('hf_hub_id')
        where = f'https://huggingface.co/{hub}' if hub else own.get('url')
        return (
            f'Without a network, download the file elsewhere ({where}) and give it as '
            'checkpoint_path=FILE, or start from random weights with pretrained=False.'
        )

    def forward(self, img: Tensor) -> tuple[Tensor, ...]:
        """Computes features of (B, 3, H, W) frames, normalised as ImageNet's.

        Returns:
            tuple[Tensor, ...]: (B, C_k, h_k, w_k) of the levels ``out_indices``, with
            ``out_channels`` channels at ``strides``.
        """
        return tuple(self.net(self.normalize(img)))
