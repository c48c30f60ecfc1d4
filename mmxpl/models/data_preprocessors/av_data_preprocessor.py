"""Data preprocessor: normalisation, spectrograms and augmentation on the device."""

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor, nn

from mmxpl.registry import MODELS
from mmxpl.structures import AVDataSample, warp

from .augmentation import AudioAugmentation, Augmentation, sample_draws


class PreparedInputs(dict):
    """Normalised inputs on the device."""


@MODELS.register_module()
class AVDataPreprocessor(BaseDataPreprocessor):
    """Normalises frames, computes spectrograms and augments training batches.

    It has two stages, so that a hook can read the plain view of a batch before it is
    augmented:

    - :meth:`prepare` moves the batch to the device, normalises the frames and
      computes the audio front ends; prepared batches are returned unchanged.
    - :meth:`augment` (training only) warps every frame with its ``gt_map`` and
      ``pseudo_label`` by one affine, changes colours, and shifts and masks the
      spectrograms.

    Args:
        audio (dict[str, dict], optional): name of an input to the config of the front
            end that computes it from the waveform; none for encoders that read the
            waveform.
        mean (Sequence[float]): RGB mean, in [0, 255]. Defaults to ImageNet's.
        std (Sequence[float]): RGB deviation. Defaults to ImageNet's.
        augment (dict, optional): arguments of :class:`Augmentation`; without them
            frames are not augmented.
        augment_audio (dict, optional): arguments of :class:`AudioAugmentation`;
            without them sounds are not augmented.
    """

    def __init__(
        self,
        audio: dict[str, dict] | None = None,
        mean=(123.675, 116.28, 103.53),
        std=(58.395, 57.12, 57.375),
        augment: dict | None = None,
        augment_audio: dict | None = None,
    ) -> None:
        super().__init__()
        self.audio = nn.ModuleDict(
            {name: MODELS.build(cfg) for name, cfg in (audio or {}).items()}
        )
        if augment_audio is not None and not self.audio:
            raise ValueError(
                'augment_audio shifts and masks the spectrograms of `audio`, and there '
                'are none: leave it out.'
            )
        for name, value in (('mean', mean), ('std', std)):
            value = torch.tensor(value, dtype=torch.float32).view(1, 3, 1, 1)
            self.register_buffer(name, value, persistent=False)
        self.augmentation = None if augment is None else Augmentation(**augment)
        self.audio_augmentation = (
            None if augment_audio is None else AudioAugmentation(**augment_audio)
        )
        # seed of the runner; views depend on it, the step and the clip
        self._seed = torch.initial_seed() & (2**32 - 1)
        # in the checkpoint, so that a resumed run draws the same views
        self.register_buffer('num_steps', torch.zeros((), dtype=torch.long))

    def forward(self, data: dict, training: bool = False) -> dict:
        """Prepares a batch and, in training, augments it.

        Args:
            data (dict): ``inputs``, with ``img`` (B, 3, H, W) uint8 BGR and ``audio``
                (B, T) float32, stacked or as lists, or with cached features in their
                place (see :class:`mmxpl.datasets.LoadFeatures`), and ``data_samples``,
                a list of :class:`AVDataSample`; or a prepared batch.
            training (bool): whether to augment.

        Returns:
            dict: ``inputs`` (PreparedInputs) with ``img`` (B, 3, H, W), ``audio``
            (B, T) and one (B, 1, F, L) tensor per front end, or with features of
            (B, C, h, w) and (B, C) float32; and ``data_samples``.
        """
        # mixed precision of the networks must not round pixels
        with torch.autocast(self.mean.device.type, enabled=False):
            data = self.prepare(data)
            return self.augment(data) if training else data

    def prepare(self, data: dict) -> dict:
        """Moves a batch to the device, normalises it and computes spectrograms.

        A prepared batch is returned unchanged. See :meth:`forward`.
        """
        if isinstance(data['inputs'], PreparedInputs):
            return data
        data = self.cast_data(data)
        raw = {
            name: torch.stack(list(value))
            if isinstance(value, (list, tuple))
            else value
            for name, value in data['inputs'].items()
        }
        inputs = PreparedInputs()
        if 'img' in raw:
            images = raw.pop('img').flip(1).float()
            inputs['img'] = images.sub_(self.mean).div_(self.std)
        if 'audio' in raw:
            inputs['audio'] = raw['audio']
            for name, front_end in self.audio.items():
                inputs[name] = front_end(raw['audio'])
            del raw['audio']
        for name, features in raw.items():
            # channels are last in the cache, which is faster to read
            channels_first = (0, 3, 1, 2) if features.dim() == 4 else (0, 1)
            inputs[name] = features.float().permute(channels_first)
        return dict(inputs=inputs, data_samples=data.get('data_samples'))

    def augment(self, data: dict) -> dict:
        """Draws a view of every sample of a prepared batch and warps its targets.

        Data samples are changed in place: ``gt_map`` and ``pseudo_label`` are warped,
        and ``affine`` maps the view to the canonical frame.
        """
        if self.augmentation is None and self.audio_augmentation is None:
            return data
        samples: list[AVDataSample] = data['data_samples']
        inputs = PreparedInputs(data['inputs'])
        keys = [2 * s.sample_idx + int(s.is_labeled) for s in samples]
        draws = sample_draws(
            self._seed,
            int(self.num_steps),
            keys,
            Augmentation.NUM_DRAWS + AudioAugmentation.NUM_DRAWS,
        )
        self.num_steps += 1
        draws = torch.from_numpy(draws).to(self.mean.device)
        of_frame, of_sound = draws.tensor_split([Augmentation.NUM_DRAWS], dim=1)
        if self.augmentation is not None:
            theta = self.augmentation.affine(of_frame)
            if 'img' not in inputs and any(self.augmentation.photometric):
                raise ValueError(
                    'augment: colours of cached features cannot be changed. Set '
                    'brightness, contrast and saturation to 0.'
                )
            for name, value in inputs.items():
                if name == 'img':
                    images = torch.addcmul(self.mean, value, self.std)
                    images = self.augmentation.recolour(images, of_frame)
                    inputs[name] = warp(images.sub_(self.mean).div_(self.std), theta)
                elif '.visual.' in name:
                    inputs[name] = self.augmentation.view(value, theta)
            _warp_targets(samples, theta)
        if self.audio_augmentation is not None:
            for name in self.audio:
                inputs[name] = self.audio_augmentation(inputs[name], of_sound)
        return dict(inputs=inputs, data_samples=samples)


def _warp_targets(samples: list[AVDataSample], theta: Tensor) -> None:
    """Warps ground truth and pseudo-labels in place."""
    for sample, affine in zip(samples, theta, strict=True):
        sample.set_metainfo(dict(affine=affine))
    for name in ('gt_map', 'pseudo_label'):
        rows = [i for i, sample in enumerate(samples) if name in sample]
        if rows:
            maps = torch.stack([samples[i].get(name) for i in rows])
            planes = maps.view(len(rows), -1, *maps.shape[-2:])
            warped = warp(planes, theta[rows]).reshape(maps.shape)
            for i, one in zip(rows, warped, strict=True):
                samples[i].set_data({name: one})
