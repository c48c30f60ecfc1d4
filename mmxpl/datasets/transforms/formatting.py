"""Packs what a pipeline made of a clip."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import InstanceData

from mmxpl.registry import TRANSFORMS
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


@TRANSFORMS.register_module()
class PackAVInputs(BaseTransform):
    """Makes tensors and an :class:`AVDataSample` of a clip.

    Required keys: ``img`` and ``audio``, or ``features``, and the meta keys. Optional
    keys: ``bboxes``, ``gt_map`` and ``is_sounding`` (which becomes meta information).

    Args:
        meta_keys (Sequence[str]): keys that become meta information. Defaults
            to what the rest of mmxpl relies on.
    """

    def __init__(self, meta_keys: Sequence[str] = META_KEYS) -> None:
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict) -> dict:
        """Packs one clip.

        Args:
            results (dict): with the required keys.

        Returns:
            dict: ``inputs`` with ``img``, uint8 (3, H, W) in BGR, and
            ``audio``, float32 (T,), or the features as they are; and
            ``data_samples``.
        """
        sample = AVDataSample(metainfo={key: results[key] for key in self.meta_keys})
        if 'is_sounding' in results:
            sample.set_metainfo({'is_sounding': results['is_sounding']})
        if results.get('bboxes') is not None:
            boxes = torch.tensor(results['bboxes'], dtype=torch.float32)
            sample.gt_instances = InstanceData(bboxes=boxes.reshape(-1, 4))
        if results.get('gt_map') is not None:
            sample.gt_map = results['gt_map']
        return {'inputs': _pack_inputs(results), 'data_samples': sample}

    def __repr__(self) -> str:
        """Writes the transform as it is built."""
        return f'{type(self).__name__}(meta_keys={self.meta_keys})'


def require_media(packed: dict, user: str) -> dict:
    """Makes sure that frame and sound themselves were packed.

    Args:
        packed (dict): result of :class:`PackAVInputs`.
        user (str): who changes them, for the message.

    Returns:
        dict: the same.

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
    """Makes a tensor of a frame.

    Args:
        img (np.ndarray): uint8 of shape (H, W, 3).

    Returns:
        torch.Tensor: uint8 of shape (3, H, W).
    """
    planes = np.empty((3, *img.shape[:2]), np.uint8)
    # several times as fast as copying a transposed view
    cv2.split(img, list(planes))
    return torch.from_numpy(planes)


def _pack_inputs(results: dict) -> dict[str, torch.Tensor]:
    """Makes tensors of features, or of frame and sound."""
    if 'features' in results:
        return {name: torch.from_numpy(x) for name, x in results['features'].items()}
    return dict(
        img=pack_frame(results['img']), audio=torch.from_numpy(results['audio'])
    )
