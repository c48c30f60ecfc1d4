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
    the batch, and its target, annotated or pseudo-label, stays what it was: what else
    is heard is elsewhere, but for the rare clip that shows it, too. Mixtures train
    localization in OneAVM (Mo & Morgado, ICML 2023, arXiv 2305.19458), whose losses
    differ. No frame is encoded twice.

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
        """Appends the B sums to the sounds of B clips.

        Waveforms are added. Of cached features, ``sound`` of (B, C), it is the mean,
        the embedding of both one after the other by an encoder that averages.

        Args:
            inputs (Mapping[str, Tensor]): output of the data preprocessor.
            front_ends (Mapping[str, nn.Module]): those that made it, by input.
            ids (Sequence[str]): ids of the clips; further sounds are kept before the
                sums.

        Raises:
            DataError: If there is one clip only.
        """
        num = len(ids)
        others = next_others(ids, 'model.mixed_audio', 'Raise the batch size.')
        if 'audio' in inputs:
            own = inputs['audio'][:num]
            return append_sounds(inputs, front_ends, own + own[others])
        sounds = {k: v for k, v in inputs.items() if k.endswith('sound')}
        more = {k: (v[:num] + v[others]) / 2 for k, v in sounds.items()}
        return {**inputs, **{k: torch.cat([v, more[k]]) for k, v in sounds.items()}}
