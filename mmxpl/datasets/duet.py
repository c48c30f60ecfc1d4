"""Test set of two clips side by side that sound together."""

import torch
from mmengine.structures import InstanceData
from torch.utils.data import Dataset

from mmxpl.registry import DATASETS
from mmxpl.structures import rasterize_boxes
from mmxpl.utils import DataError

from .av_dataset import AVDataset
from .clip_pairing import choose_partners, clip_classes
from .transforms.formatting import require_media


@DATASETS.register_module()
class DuetDataset(Dataset):
    """Every clip beside a clip of other classes, with both sounds mixed.

    Follows VGGSound-Duet (Mo & Tian, Audio-Visual Grouping Network, CVPR 2023; code
    stoneMo/AVGN): the two frames are joined from left to right and the waveforms are
    added. The right clip is chosen by ``seed`` and the ids such that no class sounds in
    both; the public list of pairs is not read.

    A sample has the id ``<left>+<right>``, an image twice as wide, the boxes of both
    clips in the joined frame with ``source_ids`` 0 (left) and 1 (right) in
    ``gt_instances``, and their union as ``gt_map``.
    :class:`mmxpl.evaluation.MultiSourceMetric` scores it.

    Args:
        dataset (dict | AVDataset): Labeled :class:`AVDataset` with boxes or its config;
            its pipeline ends with ``PackAVInputs``.
        seed (int): Seed of the choice of the right clips.
    """

    def __init__(self, dataset: dict | AVDataset, seed: int = 0) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        if not self.dataset.labeled:
            raise DataError(
                'DuetDataset needs a labeled data set: set labeled=True in the inner '
                'config.'
            )
        self.seed = seed
        self._right: list[int] | None = None

    @property
    def metainfo(self) -> dict:
        """dict: meta information of the inner set."""
        info = dict(self.dataset.metainfo)
        # the hash is that of the clips, not of these samples
        info.pop('id_list_hash', None)
        return info

    @property
    def sample_ids(self) -> list[str]:
        """list[str]: ids of the clips."""
        return self.dataset.sample_ids

    def full_init(self) -> None:
        """Reads the inner set and chooses the right clips.

        Raises:
            DataError: If there is none for a clip.
        """
        if self._right is not None:
            return
        self.dataset.full_init()
        infos = [self.dataset.get_data_info(i) for i in range(len(self.dataset))]
        heard = [clip_classes(info).heard for info in infos]
        self._right = choose_partners(
            [info['sample_id'] for info in infos],
            lambda left, right: not heard[left] & heard[right],
            'duet',
            self.seed,
        )

    def __len__(self) -> int:
        self.dataset.full_init()
        return len(self.dataset)

    def __getitem__(self, idx: int) -> dict:
        """Loads and joins two clips.

        Args:
            idx (int): Index of the left clip.

        Returns:
            dict: ``inputs`` and ``data_samples``, see :class:`PackAVInputs`.

        Raises:
            DataError: If a file cannot be used or a clip has no boxes.
        """
        if not 0 <= idx < len(self):
            raise IndexError(f'index {idx} is out of range for {len(self)} samples')
        self.full_init()
        pair = [
            require_media(self.dataset[i], 'DuetDataset')
            for i in (idx, self._right[idx])
        ]
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
        sample.set_metainfo(
            dict(
                sample_id=f'{sample.sample_id}+{other.sample_id}',
                img_shape=(height, 2 * width),
            )
        )
        joined = torch.cat(boxes)
        sample.gt_instances = InstanceData(
            bboxes=joined,
            source_ids=torch.tensor([0] * len(boxes[0]) + [1] * len(boxes[1])),
        )
        # rounding to single precision must not lose a pixel
        sample.gt_map = rasterize_boxes(joined.double() + 1e-7, len(sample.gt_map))
        inputs = {
            'img': torch.cat([packed['inputs']['img'] for packed in pair], dim=2),
            'audio': sum(packed['inputs']['audio'] for packed in pair),
        }
        return {'inputs': inputs, 'data_samples': sample}
