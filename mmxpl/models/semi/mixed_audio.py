"""Sounds of two clips at once, for the frames of a batch."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mmxpl.utils.checks import check_positive
from mmxpl.utils.errors import DataError

from .negative_audio import append_sounds, next_others


class MixedAudio:
    """Loss of frames that hear another clip's sound on top of their own.

    Every frame is also compared with the sum of its sound and the next other clip's in
    the batch. Its target, annotated or pseudo-label, stays the same, since few frames
    show the source of the added sound. Mixtures train localization in OneAVM (Mo &
    Morgado, ICML 2023, arXiv 2305.19458), whose losses differ. No frame is encoded
    twice.

    Args:
        loss_weight (float): factor of the losses against both kinds of targets.
    """

    def __init__(self, loss_weight: float = 0.5) -> None:
        if isinstance(loss_weight, bool) or not isinstance(loss_weight, int | float):
            raise DataError(
                f'model.mixed_audio.loss_weight must be a number, got {loss_weight!r}.'
            )
        check_positive(loss_weight=loss_weight)
        self.loss_weight = loss_weight

    def draw(
        self,
        inputs: Mapping[str, Tensor],
        front_ends: Mapping[str, nn.Module],
        ids: Sequence[str],
    ) -> dict[str, Tensor]:
        """Appends the mixtures of B clips, by ``ids``, to their sounds.

        ``inputs`` are the output of the data preprocessor, perhaps with more sounds,
        ``front_ends`` its front ends by input. Waveforms are added; of cached features,
        ``sound`` of (B, C), the mean is taken, as an encoder that averages over time
        gives for both one after the other. A DataError says that there is one clip
        only.
        """
        num = len(ids)
        others = next_others(ids, 'model.mixed_audio', 'Raise the batch size.')
        if 'audio' in inputs:
            own = inputs['audio'][:num]
            return append_sounds(inputs, front_ends, own + own[others])
        sounds = {k: v for k, v in inputs.items() if k.endswith('sound')}
        more = {k: (v[:num] + v[others]) / 2 for k, v in sounds.items()}
        return {**inputs, **{k: torch.cat([v, more[k]]) for k, v in sounds.items()}}
