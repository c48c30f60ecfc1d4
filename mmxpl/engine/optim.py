"""Optimization: mixed precision, trainable parameters, warm-ups."""

from types import SimpleNamespace
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import MMLogger
from mmengine.optim import AmpOptimWrapper as GPUAmpOptimWrapper
from mmengine.optim import DefaultOptimWrapperConstructor, LinearLR, OptimWrapper
from mmengine.registry import OPTIMIZERS
from torch import nn

from mmxpl.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, PARAM_SCHEDULERS
from mmxpl.utils.errors import DataError
from mmxpl.utils.nested import type_name
from mmxpl.utils.parallel import unwrap


@OPTIM_WRAPPERS.register_module()
class AmpOptimWrapper(GPUAmpOptimWrapper):
    """MMEngine's mixed-precision wrapper, which also works on the CPU.

    On an accelerator it is MMEngine's. On the CPU it computes in bfloat16, which has
    the range of fp32, so that the loss is not scaled, and warns if the CPU has no
    instructions for it, which makes bfloat16 slower than fp32.

    Args:
        loss_scale (float | str | dict): as for MMEngine's; without effect on the
            CPU.
        dtype (str, optional): 'float16' or 'bfloat16'. Defaults to float16 on an
            accelerator and to bfloat16 on the CPU, the only choice there. In a config
            also 'auto', see :func:`use_amp_everywhere`.
        **kwargs: arguments of MMEngine's wrapper.
    """

    def __init__(
        self,
        loss_scale: float | str | dict = 'dynamic',
        dtype: str | None = None,
        **kwargs,
    ) -> None:
        device = get_device()
        dtype = amp_dtype(dtype, device)
        if device != 'cpu':
            super().__init__(loss_scale, dtype, **kwargs)
            return
        if computes_bfloat16() is False:
            MMLogger.get_current_instance().warning(
                'This CPU has no instructions for bfloat16 (AVX512-BF16 or AMX), so '
                'that mixed precision is slower than fp32 on it: train without.'
            )
        OptimWrapper.__init__(self, **kwargs)
        self._scale_update_param = None
        self.loss_scaler = torch.amp.GradScaler('cpu', enabled=False)
        self.cast_dtype = getattr(torch, dtype)


def computes_bfloat16(device: str = 'cpu') -> bool | None:
    """Tells whether a device has instructions for bfloat16; None if it is not known.

    Of CPUs it is known on x86, by a recent PyTorch; of accelerators on CUDA.
    """
    if device == 'cuda':
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device != 'cpu':
        return None
    capabilities = getattr(torch.cpu, 'get_capabilities', dict)()
    names = ('avx512_bf16', 'amx_bf16')
    known = [capabilities[name] for name in names if name in capabilities]
    return any(known) if known else None


def amp_dtype(dtype: str | None, device: str) -> str:
    """Chooses 'float16' or 'bfloat16' for mixed precision.

    A DataError says that a device, such as 'cpu' or 'cuda', cannot compute in the
    ``dtype`` of the config.
    """
    if dtype is None:
        return 'bfloat16' if device == 'cpu' else 'float16'
    if dtype not in ('float16', 'bfloat16'):
        raise DataError(
            f"optim_wrapper.dtype is '{dtype}': mixed precision computes in "
            "'float16', 'bfloat16', or 'auto', which build_runner decides."
        )
    if device == 'cpu' and dtype == 'float16':
        raise DataError(
            "optim_wrapper.dtype is 'float16', and there is no GPU: mixed precision "
            "on the CPU is 'bfloat16'."
        )
    return dtype


def use_amp_everywhere(cfg: Config) -> None:
    """Sets the precision of training for all uses of the localizers, in place.

    MMEngine's wrapper covers the training forward only: pseudo-labels, validation and
    test would use another precision. So the type of an ``AmpOptimWrapper`` becomes the
    ``amp_dtype`` of every localizer that sets none.

    The type 'auto' becomes bfloat16 where the device computes it, and otherwise the
    wrapper becomes that of fp32.
    """
    wrapper = cfg.get('optim_wrapper') or {}
    if type_name(wrapper) != 'AmpOptimWrapper':
        return
    device = get_device()
    if wrapper.get('dtype') == 'auto':
        on = computes_bfloat16(device)
        MMLogger.get_current_instance().info(
            f"optim_wrapper.dtype='auto': {'bfloat16' if on else 'fp32'}, since the "
            f'{device} is {"" if on else "not "}known to compute bfloat16.'
        )
        if not on:
            for key in ('dtype', 'loss_scale', 'use_fp64'):
                wrapper.pop(key, None)
            wrapper['type'] = 'OptimWrapper'
            return
        wrapper['dtype'] = 'bfloat16'
    dtype = amp_dtype(wrapper.get('dtype'), device)
    for localizer in cfg.model.get('localizers', {}).values():
        # a string is the name of another localizer
        if not isinstance(localizer, str) and type_name(localizer) == 'AVLocalizer':
            localizer.setdefault('amp_dtype', dtype)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class TrainableOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """MMEngine's constructor without frozen parameters.

    Without ``paramwise_cfg`` MMEngine passes all parameters to the optimizer, and
    otherwise warns of each frozen one. Learning rates by part are set as in MMEngine:
    ``paramwise_cfg=dict(custom_keys={'visual_backbone': dict(lr_mult=0.1)})``.
    """

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Builds the wrapper of the parameters of a model that have gradients.

        Raises a DataError if there is no such optimizer.
        """
        kind = self.optimizer_cfg.get('type')
        if isinstance(kind, str) and OPTIMIZERS.get(kind) is None:
            raise DataError(
                f"optim_wrapper.optimizer.type '{kind}' is no optimizer of PyTorch or "
                'of a registered class.'
            )
        model = unwrap(model)
        if self.paramwise_cfg:
            return super().__call__(model)
        trainable = [p for p in model.parameters() if p.requires_grad]
        return super().__call__(SimpleNamespace(parameters=lambda: trainable))

    def add_params(
        self, params: list[dict], module: nn.Module, *args: Any, **kwargs: Any
    ) -> None:
        """Adds the parameters of a module if any is trained."""
        if any(p.requires_grad for p in module.parameters()):
            super().add_params(params, module, *args, **kwargs)


@PARAM_SCHEDULERS.register_module()
class ShortWarmupLR(LinearLR):
    """Linear warm-up over a number of steps, shorter in a short training.

    Args:
        optimizer (OptimWrapper): the optimizer.
        end (int): steps of the training, set by the runner.
        num_steps (int): length of the warm-up.
        max_share (float): its largest share of the training, in [0, 1]; if that is
            below two steps, there is no warm-up.
        start_factor (float): share of the learning rate at the first step.
        by_epoch (bool): must be False, since it counts steps.
        **kwargs: Further arguments of :class:`mmengine.optim.LinearLR`.
    """

    def __init__(
        self,
        optimizer,
        end: int,
        num_steps: int = 50,
        max_share: float = 0.1,
        start_factor: float = 0.1,
        by_epoch: bool = False,
        **kwargs,
    ) -> None:
        if by_epoch:
            raise ValueError('ShortWarmupLR counts steps: set by_epoch=False.')
        steps = min(num_steps, int(end * max_share))
        if steps < 2:
            steps, start_factor = 1, 1.0
        super().__init__(
            optimizer, start_factor=start_factor, end=steps, by_epoch=False, **kwargs
        )


def count_warmup_epochs(warmup: int | float, max_epochs: int) -> int:
    """Counts the warm-up epochs, which have no pseudo-labels.

    ``warmup`` is their number or, below 1, their share of the training, which is
    rounded to whole epochs, at least one. A ValueError says that it is negative, or
    neither whole nor a share.
    """
    if warmup < 0 or (warmup >= 1 and warmup != int(warmup)):
        raise ValueError(
            'train_cfg.warmup_epochs is a number of epochs or, below 1, a share of '
            f'train_cfg.max_epochs, got {warmup}.'
        )
    if 0 < warmup < 1:
        return max(round(warmup * max_epochs), 1)
    return int(warmup)
