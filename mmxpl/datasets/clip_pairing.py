"""Clips with the sounds or beside the frames of other clips.

Every choice depends on a seed and on ids alone.
"""

import hashlib
import os.path as osp
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from mmengine.structures import InstanceData
from torch.utils.data import Dataset

from mmxpl.registry import DATASETS
from mmxpl.structures import ORIGINAL, rasterize_boxes
from mmxpl.utils import DataError

from .id_list import find_duets, read_duets
from .transforms.formatting import require_media

if TYPE_CHECKING:
    from .av_dataset import AVDataset

AUDIO_KINDS = (ORIGINAL, 'silence', 'noise', 'shuffled', 'offscreen')


class ClipClasses(NamedTuple):
    """Classes in the frame of a clip, and those of them that sound."""

    shown: frozenset[str]
    heard: frozenset[str]


def clip_classes(info: dict) -> ClipClasses:
    """Collects the classes of a clip: its category and those of its objects.

    ``info`` is its entry with ``category`` and optionally ``objects``, each with
    ``category`` and ``sounding``; what lacks one of them is a DataError.
    """
    category, objects = info.get('category'), info.get('objects') or []
    if category is None:
        raise DataError(
            f"'{info['sample_id']}' has no category, by which clips of other classes "
            'are found. Add it to the annotation.'
        )
    try:
        heard = [one['category'] for one in objects if one['sounding']]
        shown = [one['category'] for one in objects]
    except (KeyError, TypeError) as error:
        raise DataError(
            f"'{info['sample_id']}', field 'objects' must hold objects with 'category' "
            "and 'sounding'. Complete them, or leave 'objects' out of the annotation."
        ) from error
    return ClipClasses(frozenset([category, *shown]), frozenset([category, *heard]))


def rng_of(sample_id: str, purpose: str, seed: int) -> np.random.Generator:
    """Creates the random generator of one clip for one purpose."""
    digest = hashlib.sha256(f'{seed}\n{purpose}\n{sample_id}'.encode()).digest()
    return np.random.default_rng(int.from_bytes(digest, 'little'))


def choose_partners(
    ids: Sequence[str], suits: Callable[[int, int], bool], purpose: str, seed: int
) -> list[int]:
    """Chooses the index of another clip for each of N clips at random.

    The choice does not depend on the order of the ids, and choices for different
    purposes are independent. ``suits`` tells whether a candidate suits a clip, both
    given by index; it is a DataError if none does.
    """
    order = sorted(range(len(ids)), key=lambda i: ids[i])
    partners = []
    for i, sample_id in enumerate(ids):
        for j in rng_of(sample_id, purpose, seed).permutation(order).tolist():
            if j != i and suits(i, j):
                partners.append(j)
                break
        else:
            raise DataError(
                f"No other clip of the set suits '{sample_id}' ({purpose}): use a set "
                'of more classes.'
            )
    return partners


def swap_sounds(entries: Sequence[dict], fraction: float, seed: int) -> int:
    """Exchanges the sounds of a share of the clips, in [0, 1], among them.

    Each chosen clip gets the sound of another chosen one, and each chosen sound goes to
    one clip; a single one is a DataError. Changes ``audio_path`` and ``frame_time`` of
    the entries in place, and returns the number of clips with another sound.
    """
    order = sorted(
        range(len(entries)),
        key=lambda i: rng_of(entries[i]['sample_id'], 'swap', seed).random(),
    )
    chosen = order[: round(fraction * len(entries))]
    if len(chosen) == 1:
        raise DataError(
            f'audio_swap={fraction} of {len(entries)} clips is one, and there is no '
            'other sound to give it: raise audio_swap.'
        )
    sounds = [(entries[i]['audio_path'], entries[i]['frame_time']) for i in chosen]
    for i, sound in zip(chosen, sounds[1:] + sounds[:1], strict=True):
        entries[i]['audio_path'], entries[i]['frame_time'] = sound
    return len(chosen)


class _PairedDataset(Dataset):
    """Base class of test sets that combine the clips of a labeled set."""

    def __init__(self, dataset: 'dict | AVDataset', seed: int) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        if not self.dataset.labeled:
            raise DataError(
                f'{type(self).__name__} needs a labeled data set: set labeled=True in '
                'the inner config.'
            )
        self.seed = seed

    @property
    def metainfo(self) -> dict:
        """dict: meta information of the inner set."""
        info = dict(self.dataset.metainfo)
        # the hash is that of the clips, not of these samples
        info.pop('id_list_hash', None)
        return info

    @property
    def sample_ids(self) -> list[str]:
        """list[str]: ids of the clips, each once."""
        return self.dataset.sample_ids

    def __len__(self) -> int:
        self.dataset.full_init()
        return len(self.dataset)

    def _check_index(self, idx: int) -> None:
        if not 0 <= idx < len(self):
            raise IndexError(f'index {idx} is out of range for {len(self)} samples')

    def _classes(self) -> list[ClipClasses]:
        count = len(self.dataset)
        return [clip_classes(self.dataset.get_data_info(i)) for i in range(count)]

    def _choose(self, purpose: str, suits: Callable[[int, int], bool]) -> list[int]:
        return choose_partners(self.sample_ids, suits, purpose, self.seed)


@DATASETS.register_module()
class NegativeAudioDataset(_PairedDataset):
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
        dataset: 'dict | AVDataset',
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
        super().__init__(dataset, seed)
        self.kinds = tuple(kinds)
        self.noise_std = noise_std
        self._partners: dict[str, list[int]] = {}

    @property
    def metainfo(self) -> dict:
        """dict: meta information of the inner set, ``n_expected`` for all kinds."""
        info = super().metainfo
        if 'n_expected' in info:
            info['n_expected'] *= len(self.kinds)
        return info

    def full_init(self) -> None:
        """Reads the inner set and chooses the sounds of other clips.

        Raises:
            DataError: If there is no sound for a clip.
        """
        self.dataset.full_init()
        if 'shuffled' in self.kinds and 'shuffled' not in self._partners:
            self._partners['shuffled'] = self._choose('shuffled', lambda i, j: True)
        if 'offscreen' in self.kinds and 'offscreen' not in self._partners:
            classes = self._classes()
            self._partners['offscreen'] = self._choose(
                'offscreen', lambda i, j: not classes[i].shown & classes[j].heard
            )

    def __len__(self) -> int:
        return super().__len__() * len(self.kinds)

    def get_data_info(self, idx: int) -> dict:
        """Makes the entry of a clip with the id and sound of a sample."""
        self.full_init()
        self._check_index(idx)
        clip, number = divmod(idx, len(self.kinds))
        kind = self.kinds[number]
        info = self.dataset.get_data_info(clip)
        if kind in self._partners:
            partner = self.dataset.get_data_info(self._partners[kind][clip])
            info.update({key: partner[key] for key in ('audio_path', 'frame_time')})
        if kind != ORIGINAL:
            info['sample_id'] += f'@{kind}'
        return dict(info, sample_idx=idx, audio_kind=kind)

    def __getitem__(self, idx: int) -> dict:
        """Loads and packs one sample, see :class:`PackAVInputs`.

        Raises:
            DataError: If a file cannot be used or the pipeline draws no ground truth.
        """
        info = self.get_data_info(idx)
        kind, sample_id = info['audio_kind'], info['sample_id']
        if kind == ORIGINAL:
            packed = self.dataset[idx // len(self.kinds)]
            packed['data_samples'].set_metainfo(dict(audio_kind=kind))
            return packed
        packed = self.dataset.pipeline(info)
        if packed is None or 'gt_map' not in packed['data_samples']:
            raise DataError(
                f"The pipeline gave '{sample_id}' no ground truth: it must have "
                'RasterizeTargets and end with PackAVInputs.'
            )
        sample = packed['data_samples']
        sample.set_metainfo(dict(audio_kind=kind))
        sample.gt_map = torch.zeros_like(sample.gt_map)
        sample.gt_instances = InstanceData(bboxes=torch.zeros(0, 4))
        if kind in ('silence', 'noise'):
            inputs = require_media(packed, f"NegativeAudioDataset's {kind}")['inputs']
            sound = torch.zeros_like(inputs['audio'])
            if kind == 'noise':
                rng = rng_of(sample_id, 'noise', self.seed)
                noise = rng.standard_normal(sound.shape, np.float32)
                sound = torch.from_numpy(noise * np.float32(self.noise_std))
            inputs['audio'] = sound
        return packed


@DATASETS.register_module()
class DuetDataset(_PairedDataset):
    """Every clip beside a clip of other classes, with both sounds mixed.

    Follows VGGSound-Duet (Mo & Tian, Audio-Visual Grouping Network, CVPR 2023; code
    stoneMo/AVGN): the two frames are joined from left to right and the waveforms are
    added. The right clip is chosen by ``seed`` and the ids such that no class sounds in
    both, or by a published list of pairs.

    A sample has the id ``<left>+<right>``, an image twice as wide, the boxes of both
    clips in the joined frame with ``source_ids`` 0 (left) and 1 (right) in
    ``gt_instances``, and their union as ``gt_map``.
    :class:`mmxpl.evaluation.MultiSourceMetric` scores it.

    Args:
        dataset (dict | AVDataset): Labeled :class:`AVDataset` with boxes or its config;
            its pipeline ends with ``PackAVInputs``.
        seed (int): Seed of the choice of the right clips.
        pairs (str, optional): csv file of the pairs, below the data root of the clips:
            left id, class, right id, class, like AVGN's ``vggsound_duet_test.csv``.
            Pairs of which a clip is not in the data set are left out, counted and
            named in the log.
    """

    def __init__(
        self, dataset: 'dict | AVDataset', seed: int = 0, pairs: str | None = None
    ) -> None:
        super().__init__(dataset, seed)
        if pairs is not None and (not isinstance(pairs, str) or not pairs):
            raise DataError(
                f'DuetDataset: pairs must be the path of a csv file or None, got '
                f'{pairs!r}.'
            )
        self.pairs = pairs and osp.join(self.dataset.data_root, pairs)
        self._pairs: list[tuple[int, int]] | None = None

    @property
    def metainfo(self) -> dict:
        """dict: meta information of the inner set, ``n_expected`` of the pairs."""
        info = super().metainfo
        if self.pairs and 'n_expected' in info:
            info['n_expected'] = len(read_duets(self.pairs))
        return info

    def full_init(self) -> None:
        """Reads the inner set and chooses or reads the pairs.

        Raises:
            DataError: If a clip has no partner, or no listed pair is in the set.
        """
        if self._pairs is not None:
            return
        self.dataset.full_init()
        if self.pairs:
            self._pairs = find_duets(self.pairs, self.sample_ids)
            return
        heard = [one.heard for one in self._classes()]
        right = self._choose('duet', lambda i, j: heard[i].isdisjoint(heard[j]))
        self._pairs = list(enumerate(right))

    def __len__(self) -> int:
        self.full_init()
        return len(self._pairs)

    def __getitem__(self, idx: int) -> dict:
        """Loads and joins the two clips of a pair.

        Raises:
            DataError: If a file cannot be used or a clip has no boxes.
        """
        self._check_index(idx)
        pair = [require_media(self.dataset[i], 'DuetDataset') for i in self._pairs[idx]]
        sample, other = (packed['data_samples'] for packed in pair)
        boxes = []
        for part, shift in ((sample, 0.0), (other, 0.5)):
            if 'gt_instances' not in part or 'gt_map' not in part:
                raise DataError(
                    f"'{part.sample_id}' has no boxes or no gt_map: DuetDataset needs "
                    'annotated boxes and RasterizeTargets in the pipeline.'
                )
            box = part.gt_instances.bboxes.clone()
            box[:, 0::2] = box[:, 0::2] / 2 + shift
            boxes.append(box)
        height, width = sample.img_shape
        both = f'{sample.sample_id}+{other.sample_id}'
        sample.set_metainfo(dict(sample_id=both, img_shape=(height, 2 * width)))
        joined = torch.cat(boxes)
        sources = torch.tensor([0] * len(boxes[0]) + [1] * len(boxes[1]))
        sample.gt_instances = InstanceData(bboxes=joined, source_ids=sources)
        # rounding to single precision must not lose a pixel
        sample.gt_map = rasterize_boxes(joined.double() + 1e-7, len(sample.gt_map))
        inputs = {
            'img': torch.cat([packed['inputs']['img'] for packed in pair], dim=2),
            'audio': sum(packed['inputs']['audio'] for packed in pair),
        }
        return {'inputs': inputs, 'data_samples': sample}
