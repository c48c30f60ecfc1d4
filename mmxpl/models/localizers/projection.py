"""Projections of the features of encoders into a common space."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class VisualProjection(BaseModule):
    """Projects feature maps to one map of embeddings.

    Several maps are fused as in a feature pyramid (Lin et al., CVPR 2017): each is
    projected by a 1x1 convolution of its own, resized to the first and added.

    ``in_channels`` are those of each map; for the other arguments see
    :class:`~.av_localizer.AVLocalizer`. With ``norm`` every channel is standardised
    first, by its mean and deviation over batches (batch normalisation without weights);
    a hidden layer has ReLU and follows the sum.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        embed_dim: int,
        hidden_dim: int | None = None,
        norm: bool = False,
        dropout: float = 0.0,
        channel_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.dropout, self.channel_dropout = dropout, channel_dropout
        self.norms = ModuleList(
            nn.BatchNorm2d(width, affine=False) if norm else nn.Identity()
            for width in in_channels
        )
        self.levels = ModuleList(
            # one bias is enough for the sum
            nn.Conv2d(width, hidden_dim or embed_dim, 1, bias=k == 0)
            for k, width in enumerate(in_channels)
        )
        self.output = (
            None if hidden_dim is None else nn.Conv2d(hidden_dim, embed_dim, 1)
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Fuses (B, C_k, h_k, w_k) maps, the finest first, to a (B, D, h_0, w_0)."""
        fused = None
        for x, norm, level in zip(features, self.norms, self.levels, strict=True):
            x = F.dropout(norm(x), self.dropout, self.training)
            x = level(F.dropout2d(x, self.channel_dropout, self.training))
            if fused is None:
                fused = x
            else:
                fused = fused + F.interpolate(x, fused.shape[2:], mode='bilinear')
        return fused if self.output is None else self.output(F.relu(fused))


class AudioProjection(BaseModule):
    """Projects the embedding of a sound, (B, C), see :class:`VisualProjection`."""

    def __init__(
        self,
        in_channels: int,
        embed_dim: int,
        hidden_dim: int | None = None,
        norm: bool = False,
        channel_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.channel_dropout = channel_dropout
        self.norm = nn.BatchNorm1d(in_channels, affine=False) if norm else None
        self.input = nn.Linear(in_channels, hidden_dim or embed_dim)
        self.output = None if hidden_dim is None else nn.Linear(hidden_dim, embed_dim)

    def forward(self, features: Tensor) -> Tensor:
        """Projects (B, C) embeddings to (B, D)."""
        x = features if self.norm is None else self.norm(features)
        x = self.input(F.dropout(x, self.channel_dropout, self.training))
        return x if self.output is None else self.output(F.relu(x))


class UnitNorm(torch.autograd.Function):
    """Scales the vectors along dimension 1 to unit norm.

    The same as ``F.normalize``, whose gradient, composed of those of a norm and of a
    quotient, takes twice the passes over maps of embeddings and keeps one more of them.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Scales (B, D, ...) vectors; zeros stay zeros."""
        norm = torch.linalg.vector_norm(x, dim=1, keepdim=True).clamp_min(1e-12)
        unit = x / norm
        ctx.save_for_backward(unit, norm)
        return unit

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        """Removes what points along the vectors, and scales."""
        unit, norm = ctx.saved_tensors
        along = (grad * unit).sum(dim=1, keepdim=True)
        return torch.addcmul(grad, unit, along, value=-1) / norm
