"""Sounds that nothing in the frame makes, for a share of the frames of a batch."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmxpl.utils.errors import DataError

from ..localizers.av_localizer import AVLocalizer, Localization

KINDS = ('silence', 'noise', 'shuffled')


def next_others(ids: Sequence[str], key: str, remedy: str) -> Tensor:
    """Finds for each of B clips, some perhaps the same, the next other one.

    Returns (B,) places in [0, B); after the last clip comes the first. If there is one
    clip only, a DataError names ``key``, the setting that asks for others, and
    ``remedy``.
    """
    if len({*ids}) == 1:
        raise DataError(
            f"{key}: a batch of one clip has no other clip's sound. {remedy}"
        )
    after = [*range(len(ids))] * 2
    return torch.tensor(
        [next(j for j in after[i:] if ids[j] != own) for i, own in enumerate(ids)]
    )


def append_sounds(
    inputs: Mapping[str, Tensor], front_ends: Mapping[str, nn.Module], waves: Tensor
) -> dict[str, Tensor]:
    """Appends (K, T) waveforms and their spectrograms to the sounds of a batch."""
    more = {'audio': waves}
    more |= {name: front_end(waves) for name, front_end in front_ends.items()}
    return {**inputs, **{k: torch.cat([inputs[k], x]) for k, x in more.items()}}


class NegativeAudio:
    """Loss of frames whose map must be empty, since their sound comes from elsewhere.

    A share of the frames of each batch, labeled or not, is also compared with a sound
    that is not theirs; the kinds take turns:

    - 'silence': zeros.
    - 'noise': white Gaussian noise of standard deviation 1, as in vssl_eval (Juanola et
      al., ICASSP 2025).
    - 'shuffled': the sound of another clip of the batch, which now and then is of
      something in the frame.

    The own pairs of these frames are kept, and no frame is encoded twice. Sounds that
    are made go through the audio encoder with the others of the batch.

    Args:
        share (float): share of the frames, in (0, 1]; the loss has this weight.
        kinds (Sequence[str]): some of the above. Cached features have no waveform, so
            with them only 'shuffled' works.
    """

    def __init__(self, share: float, kinds: Sequence[str] = KINDS) -> None:
        if type(share) not in (int, float) or not 0 < share <= 1:
            raise DataError(
                f'model.negative_audio.share must be in (0, 1], got {share!r}. To '
                'leave negative sounds out, set model.negative_audio=None.'
            )
        listed = isinstance(kinds, Sequence) and not isinstance(kinds, str)
        if not listed or not kinds or any(kind not in KINDS for kind in kinds):
            raise DataError(
                f'model.negative_audio.kinds are some of {KINDS}, got {kinds!r}.'
            )
        self.share, self.kinds = share, tuple(kinds)

    def draw(
        self,
        inputs: Mapping[str, Tensor],
        front_ends: Mapping[str, nn.Module],
        ids: Sequence[str],
    ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Chooses frames and sounds, and makes silence and noise.

        Args:
            inputs (Mapping[str, Tensor]): output of the data preprocessor for B clips.
            front_ends (Mapping[str, nn.Module]): its front ends, by input.
            ids (Sequence[str]): ids of the clips.

        Returns:
            tuple[dict[str, Tensor], Tensor, Tensor]: inputs with K more sounds; (R,)
            places of the chosen frames in [0, B); (R,) those of their sounds in
            [0, B + K).

        Raises:
            DataError: If the batch has one clip only, or no waveforms.
        """
        num = len(ids)
        frames = torch.randperm(num)[: max(1, round(self.share * num))]
        kinds = [self.kinds[i % len(self.kinds)] for i in range(len(frames))]
        sounds = torch.zeros_like(frames)
        if 'shuffled' in kinds:
            remedy = "Raise the batch size, or leave 'shuffled' out of kinds."
            sounds = next_others(ids, 'model.negative_audio', remedy)[frames]
        made = [i for i, kind in enumerate(kinds) if kind != 'shuffled']
        if made:
            if 'audio' not in inputs:
                raise DataError(
                    'model.negative_audio: silence and noise need waveforms, and the '
                    "batch has cached features. Set kinds=['shuffled'], or cache=None "
                    'in LoadFeatures.'
                )
            sounds[made] = num + torch.arange(len(made))
            old = inputs['audio']
            waves = old.new_zeros(len(made), old.shape[1])
            for row, i in enumerate(made):
                if kinds[i] == 'noise':
                    waves[row] = torch.randn(old.shape[1]).to(old)
            inputs = append_sounds(inputs, front_ends, waves)
        device = next(iter(inputs.values())).device
        return dict(inputs), frames.to(device), sounds.to(device)

    def loss(
        self, localizer: AVLocalizer, out: Localization, frames: Tensor, sounds: Tensor
    ) -> Tensor:
        """Computes the cross-entropy of the chosen pairs against empty maps.

        ``out`` is the localizer's output for the inputs of :meth:`draw`, ``frames`` and
        ``sounds`` are from there, too. The result is a scalar, the mean over cells and
        pairs times the share.
        """
        audio = torch.cat([out.audio, out.more_audio])[sounds]
        logits = localizer.compare(out.visual[frames], audio)
        return self.share * F.softplus(logits).mean()
