"""The clips of a test set, once more with sounds that nothing in them makes."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from mmengine.structures import InstanceData
from torch import Tensor
from torch.utils.data import Dataset

from mmxpl.evaluation.functional.negative_audio import ORIGINAL
from mmxpl.registry import DATASETS
from mmxpl.utils import DataError

from .av_dataset import AVDataset

AUDIO_KINDS = (ORIGINAL, 'silence', 'noise', 'shuffled', 'offscreen')


@DATASETS.register_module()
class NegativeAudioDataset(Dataset):
    """Every clip of a labelled data set with each of several kinds of sound.

    - 'original': the clip's own.
    - 'silence': zeros. 'noise': white Gaussian noise.
    - 'shuffled': the sound of another clip, whichever.
    - 'offscreen': the sound of another clip none of whose sounding classes is in
      the frame. Classes are the clip's ``category`` and, where the annotation has
      ``objects`` (with ``category`` and ``sounding``), theirs.

    The kinds are those of vssl_eval (Juanola et al., ICASSP 2025, arXiv
    2410.01020), but for 'shuffled', which may bring a sound that the frame does
    hold. What sounds with which clip depends on ``seed``, the clip's id and the
    ids of the set alone.

    The samples of one clip follow each other. A negative one has the id
    ``<id>@<kind>``, the meta information ``audio_kind``, and an empty ``gt_map``
    and no box, since nothing in it is to be found.

    Args:
        dataset (dict | AVDataset): A labelled :class:`AVDataset` or its config,
            whose pipeline ends with ``PackAVInputs``.
        kinds (Sequence[str]): Out of :data:`AUDIO_KINDS`. Defaults to 'original',
            'silence', 'noise' and 'offscreen'.
        seed (int): Of noise and of the choice of sounds. Defaults to 0.
        noise_std (float): Standard deviation of the noise, which is not clipped;
            sounds are in [-1, 1]. Defaults to 1.0, as in vssl_eval.
    """

    def __init__(
        self,
        dataset: dict | AVDataset,
        kinds: Sequence[str] = (ORIGINAL, 'silence', 'noise', 'offscreen'),
        seed: int = 0,
        noise_std: float = 1.0,
    ) -> None:
        unknown = set(kinds) - set(AUDIO_KINDS)
        if unknown or not kinds or len(set(kinds)) < len(kinds):
            raise ValueError(
                f'kinds must be different ones out of {AUDIO_KINDS}, got {kinds!r}.'
            )
        if not noise_std > 0:
            raise ValueError(f'noise_std must be positive, got {noise_std!r}.')
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        if not self.dataset.labelled:
            raise DataError(
                'NegativeAudioDataset needs a labelled data set: set labelled=True in '
                'the inner config.'
            )
        self.kinds = tuple(kinds)
        self.seed = seed
        self.noise_std = noise_std
        self._partners: dict[str, list[int]] = {}

    @property
    def metainfo(self) -> dict:
        """dict: of the inner set, with ``n_expected`` for all kinds."""
        info = dict(self.dataset.metainfo)
        if 'n_expected' in info:
            info['n_expected'] *= len(self.kinds)
        # the fingerprint is that of the clips, not of these samples
        info.pop('id_list_hash', None)
        return info

    def full_init(self) -> None:
        """Reads the inner set and chooses the sounds that are swapped.

        Raises:
            DataError: If there is no sound for a clip.
        """
        self.dataset.full_init()
        swapped = {'shuffled', 'offscreen'}.intersection(self.kinds)
        if not swapped - set(self._partners):
            return
        infos = [self.dataset.get_data_info(i) for i in range(len(self.dataset))]
        # the choice must not depend on the order of the list
        order = sorted(range(len(infos)), key=lambda i: infos[i]['sample_id'])
        for kind in sorted(swapped):
            # a shuffled sound suits every frame
            classes = [_classes(i) if kind == 'offscreen' else _NONE for i in infos]
            partners = []
            for i, info in enumerate(infos):
                candidates = self._rng(info['sample_id'], kind).permutation(order)
                shown = classes[i].shown
                fits = (
                    j for j in candidates if j != i and not shown & classes[j].heard
                )
                partner = next(fits, None)
                if partner is None:
                    raise DataError(
                        f"NegativeAudioDataset: no clip of the set sounds '{kind}' to "
                        f"'{info['sample_id']}' (in the frame: {sorted(shown)}). Use "
                        'a set of more classes, or leave that kind out.'
                    )
                partners.append(int(partner))
            self._partners[kind] = partners

    @property
    def sample_ids(self) -> list[str]:
        """list[str]: ids of the clips, each once."""
        return self.dataset.sample_ids

    def __len__(self) -> int:
        self.dataset.full_init()
        return len(self.dataset) * len(self.kinds)

    def get_data_info(self, idx: int) -> dict:
        """What the pipeline starts from.

        Args:
            idx (int): index of the sample.

        Returns:
            dict: The clip's entry, with the sample's id and sound.
        """
        self.full_init()
        if not 0 <= idx < len(self):
            raise IndexError(f'index {idx} is out of range for {len(self)} samples')
        clip, number = divmod(idx, len(self.kinds))
        kind = self.kinds[number]
        info = self.dataset.get_data_info(clip)
        if kind in self._partners:
            partner = self.dataset.get_data_info(self._partners[kind][clip])
            info['audio_path'] = partner['audio_path']
        if kind != ORIGINAL:
            info['sample_id'] += f'@{kind}'
        return dict(info, sample_idx=idx, audio_kind=kind)

    def __getitem__(self, idx: int) -> dict:
        """Loads and packs one sample.

        Args:
            idx (int): index of the sample.

        Returns:
            dict: ``inputs`` and ``data_samples``, see :class:`PackAVInputs`.

        Raises:
            DataError: If a file cannot be used or the pipeline gives nothing.
        """
        info = self.get_data_info(idx)
        kind, sample_id = info['audio_kind'], info['sample_id']
        if kind == ORIGINAL:
            packed = self.dataset[idx // len(self.kinds)]
            packed['data_samples'].set_metainfo(dict(audio_kind=kind))
            return packed
        packed = remove_source(self.dataset.pipeline(info), sample_id, kind)
        audio = packed['inputs']['audio']
        if kind == 'silence':
            packed['inputs']['audio'] = torch.zeros_like(audio)
        elif kind == 'noise':
            packed['inputs']['audio'] = self._noise(sample_id, audio)
        return packed

    def _noise(self, sample_id: str, like: Tensor) -> Tensor:
        """Noise of the shape of a waveform."""
        values = self._rng(sample_id, 'noise').standard_normal(like.shape, np.float32)
        return torch.from_numpy(values * np.float32(self.noise_std))

    def _rng(self, sample_id: str, kind: str) -> np.random.Generator:
        """Random numbers of one sample and kind, whichever come before."""
        digest = hashlib.sha256(f'{self.seed}\n{kind}\n{sample_id}'.encode()).digest()
        return np.random.default_rng(int.from_bytes(digest, 'little'))


def remove_source(packed: dict | None, sample_id: str, kind: str) -> dict:
    """Empties the ground truth of a sample whose sound comes from elsewhere.

    Args:
        packed (dict): What the pipeline made, changed in place.
        sample_id (str): For the message.
        kind (str): Becomes the meta information ``audio_kind``.

    Returns:
        dict: The same.

    Raises:
        DataError: If the pipeline drew no ground truth.
    """
    if packed is None or 'gt_map' not in packed['data_samples']:
        raise DataError(
            f"The pipeline gave '{sample_id}' no ground truth: it must have "
            'RasterizeTargets and end with PackAVInputs.'
        )
    sample = packed['data_samples']
    sample.set_metainfo(dict(audio_kind=kind))
    sample.gt_map = torch.zeros_like(sample.gt_map)
    sample.gt_instances = InstanceData(bboxes=torch.zeros(0, 4))
    return packed


class _Classes(NamedTuple):
    """Classes in a clip's frame, and those that sound in it."""

    shown: frozenset[str]
    heard: frozenset[str]


_NONE = _Classes(frozenset(), frozenset())


def _classes(info: dict) -> _Classes:
    """What the annotation tells of a clip's classes."""
    objects = info.get('objects') or []
    category = info.get('category')
    if category is None:
        raise DataError(
            f"'{info['sample_id']}' has no category, which NegativeAudioDataset needs "
            "for the kind 'offscreen'. Add it to the annotation."
        )
    return _Classes(
        frozenset([category, *(o['category'] for o in objects)]),
        frozenset([category, *(o['category'] for o in objects if o['sounding'])]),
    )
