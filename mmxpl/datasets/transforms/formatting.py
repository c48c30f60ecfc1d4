"""Packing of clips into model inputs, and of clips into batches."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import InstanceData
from torch.utils.data import default_collate

from mmxpl.registry import FUNCTIONS, TRANSFORMS
from mmxpl.structures import AVDataSample
from mmxpl.utils import DataError

META_KEYS = (
    'sample_id',
    'sample_idx',
    'is_labeled',
    'category',
    'img_path',
    'audio_path',
    'ori_shape',
    'img_shape',
)
# become meta information where the data set knows them
_OPTIONAL_KEYS = ('is_sounding', 'video_id')


@TRANSFORMS.register_module()
class PackAVInputs(BaseTransform):
    """Packs a clip into tensors and an :class:`AVDataSample`.

    Required keys: ``img`` and ``audio``, or ``features``, and the meta keys. Optional
    keys: ``bboxes``, ``gt_map``, and ``is_sounding`` and ``video_id``, which become
    meta information.

    Args:
        meta_keys (Sequence[str]): Keys that become meta information; mmxpl relies on
            the defaults.
    """

    def __init__(self, meta_keys: Sequence[str] = META_KEYS) -> None:
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict) -> dict:
        """Packs a clip.

        Args:
            results (dict): Entry with the required keys.

        Returns:
            dict: ``inputs`` with ``img``, uint8 (3, H, W) in BGR, and
            ``audio``, float32 (T,), or the features as they are; and
            ``data_samples``.
        """
        sample = AVDataSample(metainfo={key: results[key] for key in self.meta_keys})
        known = {key: results[key] for key in _OPTIONAL_KEYS if key in results}
        sample.set_metainfo(known)
        if results.get('bboxes') is not None:
            boxes = torch.tensor(results['bboxes'], dtype=torch.float32)
            sample.gt_instances = InstanceData(bboxes=boxes.reshape(-1, 4))
        if results.get('gt_map') is not None:
            sample.gt_map = results['gt_map']
        return {'inputs': _pack_inputs(results), 'data_samples': sample}

    def __repr__(self) -> str:
        """Formats the transform as it is built."""
        return f'{type(self).__name__}(meta_keys={self.meta_keys})'


def require_media(packed: dict, user: str) -> dict:
    """Refuses packed features where frame and sound are needed.

    Args:
        packed (dict): Result of :class:`PackAVInputs`.
        user (str): What needs them, for the message.

    Returns:
        dict: ``packed``.

    Raises:
        DataError: If cached features were packed.
    """
    if 'audio' not in packed['inputs']:
        raise DataError(
            f'{user} changes frames or sounds and cannot change features: set '
            'cache=None in LoadFeatures.'
        )
    return packed


def pack_frame(img: np.ndarray) -> torch.Tensor:
    """Converts a frame to a tensor.

    Args:
        img (np.ndarray): uint8 of shape (H, W, 3).

    Returns:
        torch.Tensor: uint8 of shape (3, H, W).
    """
    planes = np.empty((3, *img.shape[:2]), np.uint8)
    # several times faster than copying a transposed view
    cv2.split(img, list(planes))
    return torch.from_numpy(planes)


def _pack_inputs(results: dict) -> dict[str, torch.Tensor]:
    """Converts features, or frame and sound, to tensors."""
    if 'features' in results:
        return {name: torch.from_numpy(x) for name, x in results['features'].items()}
    return dict(
        img=pack_frame(results['img']), audio=torch.from_numpy(results['audio'])
    )


@FUNCTIONS.register_module()
def av_collate(samples: Sequence[dict]) -> dict:
    """Stacks images and sounds; data samples stay a list.

    In a worker process the tensors are stacked into shared memory at once, while
    MMEngine's ``pseudo_collate`` would pass each of them by itself. In a config:
    ``collate_fn=dict(type='mmxpl.av_collate')``, because MMEngine looks collate
    functions up without the default scope.

    Args:
        samples (Sequence[dict]): B results of :class:`PackAVInputs`.

    Returns:
        dict: ``inputs`` with ``img`` (B, 3, H, W) uint8 and ``audio`` (B, T)
        float32, and ``data_samples``, a list of B.

    Raises:
        DataError: If the samples differ in shape.
    """
    inputs = {}
    for key in samples[0]['inputs']:
        tensors = [sample['inputs'][key] for sample in samples]
        for tensor, sample in zip(tensors, samples, strict=True):
            if tensor.shape != tensors[0].shape:
                raise DataError(
                    f"inputs['{key}'] of '{sample['data_samples'].sample_id}' has "
                    f'shape {tuple(tensor.shape)}, others of the batch have '
                    f'{tuple(tensors[0].shape)}. Give all pipelines of a loader the '
                    'same sizes.'
                )
        inputs[key] = default_collate(tensors)
    return {
        'inputs': inputs,
        'data_samples': [sample['data_samples'] for sample in samples],
    }
