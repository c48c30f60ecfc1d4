"""Random views of the sound of a training batch."""

import torch
from torch import Tensor


class AudioAugmentation:
    """Turns a spectrogram in time and masks a band and a stretch of it.

    The masks are those of SpecAugment (Park et al., Interspeech 2019), one of
    each kind, filled with the spectrogram's own mean. The turn is cyclic: a clip
    has no privileged beginning. Few labeled clips are otherwise told apart by
    their sound, which no view of the frame changes.

    Args:
        time_shift (float): largest turn as a share of the length, in [0, 1]; 1
            is any. Defaults to 1.
        freq_mask (float): largest masked band as a share of all bins, in
            [0, 1). Defaults to 0.3.
        time_mask (float): largest masked stretch as a share of the length, in
            [0, 1). Defaults to 0.3.
    """

    NUM_DRAWS = 5

    def __init__(
        self, time_shift: float = 1.0, freq_mask: float = 0.3, time_mask: float = 0.3
    ) -> None:
        if not 0 <= time_shift <= 1:
            raise ValueError(f'time_shift must be in [0, 1], got {time_shift}.')
        for name, value in (('freq_mask', freq_mask), ('time_mask', time_mask)):
            if not 0 <= value < 1:
                raise ValueError(f'{name} must be in [0, 1), got {value}.')
        self.time_shift = time_shift
        self.masks = (freq_mask, time_mask)

    def __call__(self, spectrograms: Tensor, draws: Tensor) -> Tensor:
        """Draws a view of every spectrogram.

        Front ends of one clip get the same view: shares, not bins, are drawn.

        Args:
            spectrograms (Tensor): (B, 1, F, L).
            draws (Tensor): (B, 5) in [0, 1).

        Returns:
            Tensor: (B, 1, F, L).
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
            hidden = _stretch(where, share, spectrograms.shape[axis])
            shape = [len(hidden), 1, 1, 1]
            shape[axis] = -1
            turned = torch.where(hidden.view(shape), mean, turned)
        return turned


def _stretch(draws: Tensor, share: float, size: int) -> Tensor:
    """Marks a random stretch of a line.

    Args:
        draws (Tensor): (B, 2) in [0, 1): width as a part of the largest, place.
        share (float): largest width as a share of the line.
        size (int): bins of the line.

    Returns:
        Tensor: (B, size) bool.
    """
    width = (share * draws[:, 0] * size).round()
    start = (draws[:, 1] * (size - width + 1)).floor()
    bins = torch.arange(size, device=draws.device)
    return (bins >= start[:, None]) & (bins < (start + width)[:, None])
