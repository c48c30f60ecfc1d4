"""Wrappers that make a model distributed."""

from mmengine.model import MMDistributedDataParallel
from torch import nn

from mmxpl.registry import MODEL_WRAPPERS


@MODEL_WRAPPERS.register_module()
class CPUDistributedDataParallel(MMDistributedDataParallel):
    """MMEngine's wrapper for processes that compute on the CPU.

    The Runner gives every wrapper the local rank as its device, which PyTorch
    refuses for a model on the CPU.

    Args:
        module (nn.Module): The model, on the CPU.
        device_ids (list[int], optional): Ignored.
        **kwargs: Arguments of :class:`MMDistributedDataParallel`.
    """

    def __init__(
        self, module: nn.Module, device_ids: list[int] | None = None, **kwargs
    ) -> None:
        super().__init__(module=module, device_ids=None, **kwargs)
