"""Test set whose clips are repeated with sounds that nothing in the frame makes."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from mmengine.structures import InstanceData
from torch import Tensor
from torch.utils.data import Dataset

from mmxpl.registry import DATASETS
from mmxpl.structures import ORIGINAL
from mmxpl.utils import DataError

from .av_dataset import AVDataset
from .clip_pairing import choose_partners, clip_classes, rng_of
from .transforms.formatting import require_media

AUDIO_KINDS = (ORIGINAL, 'silence', 'noise', 'shuffled', 'offscreen')


@DATASETS.register_module()
class NegativeAudioDataset(Dataset):
    """Every clip of a labeled data set with each of several kinds of sound.

    - 'original': the sound of the clip.
    - 'silence': zeros.
    - 'noise': white Gaussian noise.
    - 'shuffled': the sound of any other clip.
    - 'offscreen': the sound of another clip none of whose sounding classes is in the
      frame. Classes are the ``category`` of the clip and those of its ``objects`` (with
      ``category`` and ``sounding``), if the annotation has them.

    The kinds are those of vssl_eval (Juanola et al., ICASSP 2025, arXiv 2410.01020)
    except 'shuffled', which may add a sound whose source is in the frame. Sounds are
    chosen by ``seed`` and the ids alone.

    The samples of a clip follow each other. A negative one has the id ``<id>@<kind>``,
    the meta information ``audio_kind``, an empty ``gt_map`` and no box.

    Args:
        dataset (dict | AVDataset): Labeled :class:`AVDataset` or its config; its
            pipeline ends with ``PackAVInputs``.
        kinds (Sequence[str]): Kinds of sound, a selection of :data:`AUDIO_KINDS`.
        seed (int): Seed of the noise and of the choice of sounds.
        noise_std (float): Standard deviation of the noise, which is not clipped; sounds
            are in [-1, 1]. The default is that of vssl_eval.
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
        if not self.dataset.labeled:
            raise DataError(
                'NegativeAudioDataset needs a labeled data set: set labeled=True in '
                'the inner config.'
            )
        self.kinds = tuple(kinds)
        self.seed = seed
        self.noise_std = noise_std
        self._partners: dict[str, list[int]] = {}

    @property
    def metainfo(self) -> dict:
        """dict: meta information of the inner set, ``n_expected`` for all kinds."""
        info = dict(self.dataset.metainfo)
        if 'n_expected' in info:
            info['n_expected'] *= len(self.kinds)
        # the hash is that of the clips, not of these samples
        info.pop('id_list_hash', None)
        return info

    def full_init(self) -> None:
        """Reads the inner set and chooses the sounds of other clips.

        Raises:
            DataError: If there is no sound for a clip.
        """
        self.dataset.full_init()
        missing = {'shuffled', 'offscreen'}.intersection(self.kinds) - set(
            self._partners
        )
        if not missing:
            return
        infos = [self.dataset.get_data_info(i) for i in range(len(self.dataset))]
        ids = [info['sample_id'] for info in infos]
        for kind in missing:
            suits = _any_clip if kind == 'shuffled' else _foreign_sounds(infos)
            self._partners[kind] = choose_partners(ids, suits, kind, self.seed)

    @property
    def sample_ids(self) -> list[str]:
        """list[str]: ids of the clips, each once."""
        return self.dataset.sample_ids

    def __len__(self) -> int:
        self.dataset.full_init()
        return len(self.dataset) * len(self.kinds)

    def get_data_info(self, idx: int) -> dict:
        """Makes the entry that the pipeline starts from.

        Args:
            idx (int): Index of the sample.

        Returns:
            dict: Entry of the clip with the id and sound of the sample.
        """
        self.full_init()
        if not 0 <= idx < len(self):
            raise IndexError(f'index {idx} is out of range for {len(self)} samples')
        clip, number = divmod(idx, len(self.kinds))
        kind = self.kinds[number]
        info = self.dataset.get_data_info(clip)
        if kind in self._partners:
            partner = self.dataset.get_data_info(self._partners[kind][clip])
            for key in ('audio_path', 'frame_time'):
                info[key] = partner[key]
        if kind != ORIGINAL:
            info['sample_id'] += f'@{kind}'
        return dict(info, sample_idx=idx, audio_kind=kind)

    def __getitem__(self, idx: int) -> dict:
        """Loads and packs one sample.

        Args:
            idx (int): Index of the sample.

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
        if kind in ('silence', 'noise'):
            inputs = require_media(packed, f"NegativeAudioDataset's {kind}")['inputs']
            sound = inputs['audio']
            inputs['audio'] = (
                torch.zeros_like(sound)
                if kind == 'silence'
                else self._noise(sample_id, sound)
            )
        return packed

    def _noise(self, sample_id: str, like: Tensor) -> Tensor:
        """Draws noise of the shape of a waveform."""
        values = rng_of(sample_id, 'noise', self.seed).standard_normal(
            like.shape, np.float32
        )
        return torch.from_numpy(values * np.float32(self.noise_std))


def remove_source(packed: dict | None, sample_id: str, kind: str) -> dict:
    """Empties the ground truth of a sample whose sound comes from elsewhere.

    Args:
        packed (dict): Result of the pipeline, changed in place.
        sample_id (str): Id of the sample, for the message.
        kind (str): Value of the meta information ``audio_kind``.

    Returns:
        dict: ``packed``.

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


def _any_clip(clip: int, candidate: int) -> bool:
    """Accepts every sound."""
    return True


def _foreign_sounds(infos: Sequence[dict]) -> Callable[[int, int], bool]:
    """Makes the test that no heard class of a candidate is in the frame of a clip."""
    classes = [clip_classes(info) for info in infos]
    return lambda clip, other: not classes[clip].shown & classes[other].heard
