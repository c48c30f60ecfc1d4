"""What the encoders of optional packages share: import, normalisation, errors."""

import importlib
import importlib.util
from collections.abc import Sequence
from types import ModuleType

import torch
from torch import Tensor, nn

from mmxpl.compat import ensure_torchvision
from mmxpl.models.init import PretrainedError

# what AVDataPreprocessor normalises frames with by default, in [0, 1]
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def import_optional(name: str) -> ModuleType:
    """Imports a package that only some encoders need.

    Args:
        name (str): 'timm' or 'transformers'.

    Returns:
        ModuleType: The package.

    Raises:
        ImportError: If it is not installed, with the command that installs it, or if
            it or torchvision cannot be imported.
    """
    if importlib.util.find_spec(name) is None:
        release = torch.__version__.partition('+')[0]
        raise ImportError(
            f'{name} is not installed; the encoder that the config names needs it. '
            f'Install it beside the PyTorch that is there: pip install '
            f'"torch=={release}" {name}, or the extra "encoders" of mmxpl.'
        )
    ensure_torchvision()
    return importlib.import_module(name)


def weights_error(source: str, error: Exception, remedy: str) -> PretrainedError:
    """Makes the error of weights that cannot be loaded.

    Args:
        source (str): the file, the folder or the name that was asked for.
        error (Exception): what went wrong.
        remedy (str): sentences that say what to do.

    Returns:
        PretrainedError: To be raised from ``error``.
    """
    reason = (str(error).strip().splitlines() or ['no message'])[0]
    return PretrainedError(
        f"The weights of '{source}' cannot be loaded ({type(error).__name__}: "
        f'{reason}). {remedy}'
    )


class Renormalize(nn.Module):
    """From ImageNet's normalisation of RGB to another.

    Args:
        mean (Sequence[float]): RGB mean in [0, 1] of what is wanted.
        std (Sequence[float]): RGB deviation in [0, 1] of what is wanted.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.mean, self.std = tuple(mean), tuple(std)
        old_mean, old_std, new_mean, new_std = (
            torch.tensor(x, dtype=torch.float64).view(3, 1, 1)
            for x in (IMAGENET_MEAN, IMAGENET_STD, self.mean, self.std)
        )
        scale, shift = old_std / new_std, (old_mean - new_mean) / new_std
        self.register_buffer('scale', scale.float(), persistent=False)
        self.register_buffer('shift', shift.float(), persistent=False)

    def forward(self, img: Tensor) -> Tensor:
        """Normalises anew.

        Args:
            img (Tensor): (B, 3, H, W), normalised with ImageNet's mean and deviation.

        Returns:
            Tensor: (B, 3, H, W); the same tensor where nothing changes.
        """
        if (self.mean, self.std) == (IMAGENET_MEAN, IMAGENET_STD):
            return img
        return img * self.scale + self.shift

    def extra_repr(self) -> str:
        """Shows the normalisation in the printed network."""
        return f'mean={self.mean}, std={self.std}'
