"""Data sample of one audio-visual pair."""

from mmengine.structures import BaseDataElement, InstanceData, PixelData
from torch import Tensor

ORIGINAL = 'original'
"""str: ``audio_kind`` of samples with their own sound."""


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

    @property
    def gt_instances(self) -> InstanceData:
        """InstanceData: boxes of the sounding objects."""
        return self._gt_instances

    @gt_instances.setter
    def gt_instances(self, value: InstanceData) -> None:
        self.set_field(value, '_gt_instances', dtype=InstanceData)

    @gt_instances.deleter
    def gt_instances(self) -> None:
        del self._gt_instances

    @property
    def gt_map(self) -> Tensor:
        """Tensor: ground-truth map of shape (S, S) in [0, 1]."""
        return self._gt_map

    @gt_map.setter
    def gt_map(self, value: Tensor) -> None:
        self.set_field(value, '_gt_map', dtype=Tensor)

    @gt_map.deleter
    def gt_map(self) -> None:
        del self._gt_map

    @property
    def pseudo_label(self) -> Tensor:
        """Tensor: soft targets of M localizers, (M, h, w) in [0, 1]."""
        return self._pseudo_label

    @pseudo_label.setter
    def pseudo_label(self, value: Tensor) -> None:
        self.set_field(value, '_pseudo_label', dtype=Tensor)

    @pseudo_label.deleter
    def pseudo_label(self) -> None:
        del self._pseudo_label

    @property
    def pred_map(self) -> PixelData:
        """PixelData: predicted probability maps, (1, h, w) in [0, 1]."""
        return self._pred_map

    @pred_map.setter
    def pred_map(self, value: PixelData) -> None:
        self.set_field(value, '_pred_map', dtype=PixelData)

    @pred_map.deleter
    def pred_map(self) -> None:
        del self._pred_map
