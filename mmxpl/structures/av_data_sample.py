"""Data sample of one audio-visual pair."""

from mmengine.structures import BaseDataElement, InstanceData, PixelData
from torch import Tensor

ORIGINAL = 'original'
"""str: ``audio_kind`` of samples with their own sound."""


def _field(name: str, dtype: type, doc: str) -> property:
    """Makes a data field of one type."""
    key = f'_{name}'
    return property(
        lambda self: getattr(self, key),
        lambda self, value: self.set_field(value, key, dtype=dtype),
        lambda self: delattr(self, key),
        f'{dtype.__name__}: {doc}.',
    )


class AVDataSample(BaseDataElement):
    """Annotations, pseudo-labels and predictions of one frame and its sound.

    It is the interface between data set, preprocessor, learner, hooks, metrics and
    visualizer. Maps and boxes refer to the *canonical frame*, the plain resized image,
    until the data preprocessor augments a training batch: it warps ``gt_map`` and
    ``pseudo_label`` together with the image and stores the affine in the meta
    information.

    Meta information:

    - ``sample_id`` (str): stable id of the clip.
    - ``sample_idx`` (int): index within the clip's own dataset.
    - ``is_labeled`` (bool): whether the ground truth may be trained on.
    - ``is_sounding`` (bool, optional): of a labeled clip, False if nothing in
      the frame makes the sound; the ground truth is then empty.
    - ``category`` (str, optional): name of the sounding class, if known.
    - ``img_path``, ``audio_path`` (str): the files that were read.
    - ``ori_shape``, ``img_shape`` (tuple[int, int]): height and width of the
      file's frame and of the image given to the model.
    - ``audio_kind`` (str, optional): 'original' or the kind of negative audio, see
      :class:`mmxpl.datasets.NegativeAudioDataset`.
    - ``localizers`` (Sequence[str], optional): names of the M localizers in the
      order of ``pseudo_label``, for pictures; 'a', 'b', ... if it is left out.
    - ``affine`` (Tensor): (2, 3), augmented to canonical coordinates; present
      after augmentation only.

    Data fields:

    - ``gt_instances`` (InstanceData): ``bboxes`` (N, 4) of the sounding
      objects, x1 y1 x2 y2 normalised to [0, 1]; optionally ``source_ids`` (N,), equal
      for boxes of one source.
    - ``gt_map`` (Tensor): (S, S) in [0, 1], the ground truth as the evaluation
      protocol rasterises it; fractional where annotators disagree.
    - ``pseudo_label`` (Tensor): (M, h, w) in [0, 1], the soft target of each of M
      localizers.
    - ``pseudo_weights`` (Tensor, optional): (M,) factor of each localizer's loss
      against its pseudo-label; 0 where it is not learnt from.
    - ``pred_map`` (PixelData): for each localizer, and ``ens`` for their mean,
      the predicted probability, (1, h, w) in [0, 1].
    """

    gt_instances = _field('gt_instances', InstanceData, 'boxes of the sounding objects')
    gt_map = _field('gt_map', Tensor, 'ground truth of shape (S, S) in [0, 1]')
    pseudo_label = _field('pseudo_label', Tensor, 'soft targets (M, h, w) in [0, 1]')
    pred_map = _field('pred_map', PixelData, 'predicted maps (1, h, w) in [0, 1]')

    def set_metainfo(self, metainfo: dict) -> None:
        """Sets meta information; unlike MMEngine it does not copy the values deeply."""
        for name, value in metainfo.items():
            self.set_field(value, name, field_type='metainfo')
