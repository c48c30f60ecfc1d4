"""Random views of training batches, of frames and of sounds."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mmxpl.structures import compose_affine, warp
from mmxpl.utils.checks import check_fraction, check_not_negative, check_share


def sample_draws(seed: int, step: int, keys: Sequence[int], count: int) -> np.ndarray:
    """Draws (B, count) float32 numbers in [0, 1) that depend on seed, step and sample.

    Views are therefore the same for any number of processes and in a resumed run.
    ``keys`` are B non-negative numbers, one a sample.
    """
    draws = [np.random.default_rng([seed, step, key]).random(count) for key in keys]
    return np.stack(draws).astype(np.float32)


class Augmentation:
    """Augmentation of frames by an affine (crop, flip, scale) and colours.

    Args:
        min_area (float): smallest area of the crop as a share of the frame, in
            (0, 1]; 1 disables cropping.
        max_stretch (float): largest ratio, at least 1, of the aspect ratios of crop
            and frame.
        flip (float): probability of a horizontal flip.
        brightness (float): largest change of brightness, relative.
        contrast (float): largest change of contrast.
        saturation (float): largest change of saturation.
    """

    NUM_DRAWS = 8

    def __init__(
        self,
        min_area: float = 0.5,
        max_stretch: float = 1.33,
        flip: float = 0.5,
        brightness: float = 0.3,
        contrast: float = 0.3,
        saturation: float = 0.3,
    ) -> None:
        if not 0 < min_area <= 1:
            raise ValueError(f'min_area must be in (0, 1], got {min_area}.')
        if not max_stretch >= 1:
            raise ValueError(f'max_stretch must be at least 1, got {max_stretch}.')
        check_fraction(flip=flip)
        check_not_negative(
            brightness=brightness, contrast=contrast, saturation=saturation
        )
        self.min_area, self.max_stretch, self.flip = min_area, max_stretch, flip
        self.photometric = (brightness, contrast, saturation)

    def affine(self, draws: Tensor) -> Tensor:
        """Converts random numbers to (B, 2, 3) affines, from augmented to canonical.

        ``draws`` are (B, 8) in [0, 1), of which the first five are used; views are
        within the frame.
        """
        area = self.min_area + (1 - self.min_area) * draws[:, 0]
        stretch = self.max_stretch ** (2 * draws[:, 1] - 1)
        root = stretch.sqrt()
        size = torch.stack([area.sqrt() * root, area.sqrt() / root], dim=1).clamp_max(1)
        center = (1 - size) * (2 * draws[:, 2:4] - 1)
        return compose_affine(center, size, draws[:, 4] < self.flip)

    def view(self, features: Tensor, theta: Tensor) -> Tensor:
        """Warps (B, C, h, w) feature maps by the result of :meth:`affine`.

        If the augmentation only flips, it does not interpolate, and keeps the memory
        format.
        """
        if self.min_area < 1 or self.max_stretch > 1:
            return warp(features, theta)
        mirrored = theta[:, 0, 0] < 0
        return torch.where(mirrored[:, None, None, None], features.flip(-1), features)

    def recolour(self, images: Tensor, draws: Tensor) -> Tensor:
        """Changes brightness, contrast and saturation of (B, 3, H, W) RGB in [0, 255].

        ``draws`` are (B, 8) in [0, 1), of which the last three are used.
        """
        shape, strength = images.shape, images.new_tensor(self.photometric)
        factors = 1 + strength * (2 * draws[:, 5:8] - 1)
        bright, contrast, colour = factors.view(-1, 3, 1, 1).unbind(dim=1)
        # luma of ITU-R BT.601
        luma = images.new_tensor([0.299, 0.587, 0.114])
        mean = (images.mean(dim=(2, 3)) @ luma).view(-1, 1, 1)
        # saturation mixes with the pixel's grey, contrast with the mean grey
        mix = colour * torch.eye(3, device=luma.device) + (1 - colour) * luma
        shift = bright * (1 - contrast) * mean
        images = torch.baddbmm(shift, bright * contrast * mix, images.flatten(2))
        return images.clamp_(0, 255).view(shape)


class AudioAugmentation:
    """Augmentation of spectrograms by a cyclic shift in time and by masks.

    The masks are those of SpecAugment (Park et al., Interspeech 2019), one over
    frequencies and one over time, filled with the mean of the spectrogram. Without
    it, a localizer can memorise few labeled clips by their sounds.

    Args:
        time_shift (float): largest shift as a share of the length, in [0, 1].
        freq_mask (float): largest mask as a share of the frequencies, in [0, 1).
        time_mask (float): largest mask as a share of the length, in [0, 1).
    """

    NUM_DRAWS = 5

    def __init__(
        self, time_shift: float = 1.0, freq_mask: float = 0.3, time_mask: float = 0.3
    ) -> None:
        check_fraction(time_shift=time_shift)
        check_share(freq_mask=freq_mask, time_mask=time_mask)
        self.time_shift = time_shift
        self.masks = (freq_mask, time_mask)

    def __call__(self, spectrograms: Tensor, draws: Tensor) -> Tensor:
        """Augments (B, 1, F, L) spectrograms by (B, 5) draws in [0, 1).

        All front ends of a clip get the same view, since shares are drawn, not bins.
        """
        length = spectrograms.shape[3]
        steps = (self.time_shift * (draws[:, 0] - 0.5) * length).round().long()
        places = torch.arange(length, device=spectrograms.device)
        places = (places - steps[:, None]) % length
        index = places[:, None, None].expand_as(spectrograms)
        turned = spectrograms.gather(3, index)
        mean = spectrograms.mean(dim=(1, 2, 3), keepdim=True)
        for axis, share, where in (
            (2, self.masks[0], draws[:, 1:3]),
            (3, self.masks[1], draws[:, 3:5]),
        ):
            hidden = _interval(where, share, spectrograms.shape[axis])
            shape = [len(hidden), 1, 1, 1]
            shape[axis] = -1
            turned = torch.where(hidden.view(shape), mean, turned)
        return turned


def _interval(draws: Tensor, share: float, size: int) -> Tensor:
    """Marks a random interval of an axis of ``size`` bins, (B, size) bool.

    ``draws`` are (B, 2) in [0, 1): width relative to the largest, ``share``, and
    position.
    """
    width = (share * draws[:, 0] * size).round()
    start = (draws[:, 1] * (size - width + 1)).floor()
    bins = torch.arange(size, device=draws.device)
    return (bins >= start[:, None]) & (bins < (start + width)[:, None])
