"""Ground-truth maps, packing of clips into model inputs, and of clips into batches."""

import io
import pickle
from collections.abc import Sequence
from multiprocessing.reduction import ForkingPickler
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import InstanceData
from torch import Tensor
from torch.utils.data import default_collate

from mmxpl.registry import FUNCTIONS, TRANSFORMS
from mmxpl.structures import AVDataSample, rasterize_boxes, rasterize_consensus
from mmxpl.utils import DataError
from mmxpl.utils.checks import check_positive

from ..annotations import decode_rle

# keys that hold what is drawn
SOURCES = {'boxes': 'bboxes', 'mask': 'mask', 'consensus': 'annotators'}


@TRANSFORMS.register_module()
class RasterizeTargets(BaseTransform):
    """Draws the ground truth of a labeled clip as a map.

    Boxes give their union, as in the evaluation of VGG-SS. A mask is resized by area
    and set where at least half of a cell is covered. The consensus of several
    annotators is that of Flickr-SoundNet
    (:func:`mmxpl.structures.rasterize_consensus`). The map of a clip that does not
    sound is empty. Unlabeled clips pass unchanged.

    Required keys: ``is_labeled``, ``sample_id``, and ``bboxes``, ``mask`` or
    ``annotators``. Optional key: ``is_sounding``. Added key: ``gt_map``, a float32
    tensor of shape (size, size) in {0, 1}, or in {0, 0.5, 1} for a consensus.

    Args:
        size (int): Side of the map; the default is that of the protocols.
        source (str): 'boxes', 'mask' or 'consensus'.
    """

    def __init__(self, size: int = 224, source: str = 'boxes') -> None:
        if source not in SOURCES:
            raise ValueError(f"source must be one of {tuple(SOURCES)}, got '{source}'.")
        check_positive(size=size)
        self.size = size
        self.source = source

    def transform(self, results: dict) -> dict:
        """Draws the map of a clip.

        Raises:
            DataError: If a labeled clip lacks what is to be drawn.
        """
        if not results['is_labeled']:
            return results
        if results.get('is_sounding') is False:
            results['gt_map'] = torch.zeros(self.size, self.size)
            return results
        key = SOURCES[self.source]
        label = results.get(key)
        if label is None:
            raise DataError(
                f"'{results['sample_id']}' has no {key}, which "
                f"RasterizeTargets(source='{self.source}') draws. Add them to the "
                'annotation file or choose another source.'
            )
        if self.source == 'boxes':
            # in float64: int(size * v) must truncate as in the protocol
            results['gt_map'] = rasterize_boxes(label, self.size)
        elif self.source == 'consensus':
            results['gt_map'] = rasterize_consensus(label, self.size)
        else:
            mask = decode_rle(label, f"mask of '{results['sample_id']}'")
            results['gt_map'] = _resize_mask(mask, self.size)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(size={self.size}, source={self.source!r})'


def _resize_mask(mask: np.ndarray, size: int) -> Tensor:
    """Resizes a binary uint8 mask by area to float32 (size, size) in {0, 1}."""
    cover = cv2.resize(
        mask.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA
    )
    # half-covered cells must not depend on rounding
    return torch.from_numpy((cover >= 0.5 - 1e-6).astype(np.float32))


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

        A DataError says that a key is lacking, or that a step moved what the frame
        shows, of which boxes and maps know nothing.

        Returns:
            dict: ``inputs`` with ``img``, uint8 (3, H, W) in BGR, and
            ``audio``, float32 (T,), or the features as they are; and
            ``data_samples``.
        """
        media = () if 'features' in results else ('img', 'audio')
        lacking = [key for key in (*self.meta_keys, *media) if key not in results]
        if lacking:
            raise DataError(
                f"PackAVInputs: '{results.get('sample_id')}' has no "
                f'{", ".join(lacking)}. Add the steps of the pipeline that make them, '
                'LoadFrame and LoadAudio, before it, or leave them out of meta_keys.'
            )
        moved = _moves(results)
        if moved:
            raise DataError(
                f"PackAVInputs: '{results['sample_id']}' has {', '.join(moved)}: a "
                'step of the pipeline flips, crops, pads or resizes the frame, which '
                'its boxes and maps do not follow. Leave it out: LoadFrame sets the '
                'size, and data_preprocessor.augment moves frames and maps together.'
            )
        sample = AVDataSample(metainfo={key: results[key] for key in self.meta_keys})
        known = {key: results[key] for key in _OPTIONAL_KEYS if key in results}
        sample.set_metainfo(known)
        if results.get('bboxes') is not None:
            boxes = torch.tensor(results['bboxes'], dtype=torch.float32)
            sample.gt_instances = InstanceData(bboxes=boxes.reshape(-1, 4))
        if results.get('gt_map') is not None:
            sample.gt_map = results['gt_map']
        if 'features' in results:
            inputs = {k: torch.from_numpy(v) for k, v in results['features'].items()}
        else:
            audio = torch.from_numpy(results['audio'])
            inputs = dict(img=pack_frame(results['img']), audio=audio)
        return {'inputs': inputs, 'data_samples': sample}

    def __repr__(self) -> str:
        return f'{type(self).__name__}(meta_keys={self.meta_keys})'


def _moves(results: dict) -> list[str]:
    """Names what tells that transforms of MMCV or MMDetection moved a frame's content.

    To scale the whole frame, without ``keep_ratio``, does not move it relative to its
    sides, in which boxes are measured.
    """
    moved = [key for key in ('flip', 'keep_ratio', 'pad_shape') if results.get(key)]
    if 'img' not in results:
        return moved
    shape = results['img'].shape[:2]
    if shape != results.get('loaded_shape', shape):
        moved.append(f'a frame of {shape}')
    # the matrix is of all steps, the factors (x, y) of the last one
    key = 'homography_matrix' if 'homography_matrix' in results else 'scale_factor'
    if key in results:
        loaded = results.get('loaded_shape', results.get('ori_shape', shape))
        whole = [shape[1] / loaded[1], shape[0] / loaded[0]]
        if key == 'homography_matrix':
            whole = np.diag([*whole, 1])
        if not np.allclose(results[key], whole, atol=1e-4):
            moved.append(key)
    return moved


def require_media(packed: dict, user: str) -> dict:
    """Returns a result of :class:`PackAVInputs`, which must have frame and sound.

    Cached features are a DataError that names the ``user`` of the result.
    """
    if 'audio' not in packed['inputs']:
        raise DataError(
            f'{user} changes frames or sounds and cannot change features: set '
            'cache=None in LoadFeatures.'
        )
    return packed


def pack_frame(img: np.ndarray) -> torch.Tensor:
    """Converts a frame, uint8 (H, W, 3), to a tensor of shape (3, H, W)."""
    planes = np.empty((3, *img.shape[:2]), np.uint8)
    # several times faster than copying a transposed view
    cv2.split(img, list(planes))
    return torch.from_numpy(planes)


class SampleList(list):
    """Data samples of a batch, whose tensors go to another process together.

    By itself each tensor would need shared memory and a connection of its own.
    """


class _TensorPickler(pickle.Pickler):
    """Pickler that collects the bytes of tensors instead of writing them."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.parts, self.size = [torch.empty(0, dtype=torch.uint8)], 0

    def persistent_id(self, obj: Any) -> tuple | None:
        """Collects a plain tensor; returns its type, its place and its shape."""
        plain = type(obj) is Tensor and obj.is_cpu and obj.layout is torch.strided
        if not plain or not obj.numel() or obj.requires_grad:
            return None  # by PyTorch's way
        found = obj.dtype, self.size, obj.shape
        whole = obj.resolve_conj().resolve_neg().contiguous()
        flat = whole.view(-1).view(torch.uint8)
        padding = -len(flat) % 8  # the next may be of wider numbers
        self.parts += [flat, flat.new_empty(padding)] if padding else [flat]
        self.size += len(flat) + padding
        return found


class _TensorUnpickler(pickle.Unpickler):
    """Unpickler of what :class:`_TensorPickler` wrote and collected."""

    def __init__(self, file: io.BytesIO, whole: Tensor) -> None:
        super().__init__(file)
        self.whole = whole.numpy()

    def persistent_load(self, pid: tuple) -> Tensor:
        """Makes a tensor, with its own storage, of its part of the shared memory."""
        dtype, place, shape = pid
        flat = torch.frombuffer(
            self.whole, dtype=dtype, count=shape.numel(), offset=place
        )
        return flat.view(shape)


def _pack_list(samples: SampleList) -> tuple:
    """Takes a list apart for another process."""
    file = io.BytesIO()
    pickler = _TensorPickler(file)
    pickler.dump(list(samples))
    return _unpack_list, (file.getvalue(), torch.cat(pickler.parts))


def _unpack_list(data: bytes, whole: Tensor) -> SampleList:
    """Reverses :func:`_pack_list`."""
    return SampleList(_TensorUnpickler(io.BytesIO(data), whole).load())


ForkingPickler.register(SampleList, _pack_list)


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
        DataError: If the samples differ in shape or were not packed.
    """
    if not all(isinstance(sample.get('inputs'), dict) for sample in samples):
        raise DataError('A pipeline does not end with PackAVInputs: add it.')
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
        'data_samples': SampleList(sample['data_samples'] for sample in samples),
    }
