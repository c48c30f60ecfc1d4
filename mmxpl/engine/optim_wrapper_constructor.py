"""Optimizers of what is trained, and of nothing else."""

from types import SimpleNamespace
from typing import Any

from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from torch import nn

from mmxpl.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class TrainableOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """MMEngine's constructor, without frozen parameters.

    MMEngine's gives an optimizer all parameters if there is no ``paramwise_cfg``, and
    otherwise warns of each one that is frozen. Learning rates by part are set as there:
    ``paramwise_cfg=dict(custom_keys={'visual_backbone': dict(lr_mult=0.1)})``.
    """

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Builds the optimizer wrapper of a model.

        Args:
            model (nn.Module): the model, perhaps wrapped.

        Returns:
            OptimWrapper: of its parameters that have gradients.
        """
        model = getattr(model, 'module', model)
        if self.paramwise_cfg:
            return super().__call__(model)
        trainable = [p for p in model.parameters() if p.requires_grad]
        return super().__call__(SimpleNamespace(parameters=lambda: trainable))

    def add_params(
        self, params: list[dict], module: nn.Module, *args: Any, **kwargs: Any
    ) -> None:
        """Adds the parameters of a module, if any is trained."""
        if any(p.requires_grad for p in module.parameters()):
            super().add_params(params, module, *args, **kwargs)
