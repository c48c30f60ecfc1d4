"""Quality of pseudo-labels, by themselves and against hidden ground truth."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from torch import Tensor

from mmxpl.datasets.dataset_wrappers import annotations_only
from mmxpl.pseudo_labels.reliability import agreement
from mmxpl.utils import DataError

from .functional import GroundTruth, score_maps

RULE = 'adaptive'


def label_facts(labels: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    """Measures (N, M, h, w) labels in [0, 1] of M localizers by themselves, (N,) each.

    - ``agreement``: soft IoU of the localizers' labels, see
      :func:`mmxpl.pseudo_labels.reliability.agreement`;
    - ``<name>_sharpness``: mean of ``|2 p - 1|``, 0 undecided and 1 binary;
    - ``<name>_area``: mean of p, the share of the frame that is labeled.
    """
    facts = {'agreement': agreement(labels)}
    for name, maps in zip(names, labels.unbind(1), strict=True):
        facts[f'{name}_sharpness'] = (2 * maps - 1).abs().mean(dim=(1, 2))
        facts[f'{name}_area'] = maps.mean(dim=(1, 2))
    return facts


def label_quality(
    labels: Tensor, gt_maps: Tensor, names: Sequence[str]
) -> dict[str, Tensor]:
    """Measures (N, M, h, w) labels against (N, S, S) ground truth in [0, 1], (N,) each.

    - ``<name>_soft_iou``: sum of minima over sum of maxima of the label and the ground
      truth, averaged by area to the label's cells; in [0, 1]. 1 is the best target on
      this grid;
    - ``<name>_CIoU@0.5_adaptive``: 100 where the label, scored like a prediction by
      :class:`mmxpl.evaluation.CIoUMetric`, reaches a CIoU of 0.5, else 0;
    - ``true_area``: share of the frame that the ground truth covers.
    """
    cells = F.adaptive_avg_pool2d(gt_maps[:, None], labels.shape[2:])[:, 0]
    truth = GroundTruth(gt_maps)
    quality = {'true_area': gt_maps.mean(dim=(1, 2))}
    for name, maps in zip(names, labels.unbind(1), strict=True):
        quality[f'{name}_soft_iou'] = agreement(torch.stack([maps, cells], dim=1))
        hit = score_maps(maps, truth, [RULE])[:, 0] >= 0.5
        quality[f'{name}_CIoU@0.5_{RULE}'] = 100 * hit.float()
    return quality


class HiddenTruth:
    """Annotations of unlabeled clips, to judge their pseudo-labels.

    Training does not use them. Only annotations are read, no frame or sound, and maps
    are drawn when they are needed.

    Args:
        cfg (dict): Config of a data set with ``labeled=True``; see
            :func:`mmxpl.datasets.dataset_wrappers.annotations_only`.
        sample_ids (Sequence[str]): The unlabeled clips. Clips of the data set that
            are not among them are left out, and clips without annotation are not
            judged; the log counts both.

    Attributes:
        rows (Tensor): (K,) int64, positions in ``sample_ids`` of the clips with truth.

    Raises:
        DataError: If the data set is not labeled or has none of the clips.
    """

    def __init__(self, cfg: dict, sample_ids: Sequence[str]) -> None:
        self.dataset = annotations_only(cfg)
        places = {sample_id: n for n, sample_id in enumerate(sample_ids)}
        found = [
            (places[sample_id], n)
            for n, sample_id in enumerate(self.dataset.sample_ids)
            if sample_id in places
        ]
        if not found:
            raise DataError(
                f'truth: {self.dataset.source} has none of the {len(sample_ids)} '
                'unlabeled clips: give it their ids (id_list, subset, fraction, '
                'split_seed).'
            )
        rows, self._index = zip(*sorted(found), strict=True)
        self.rows = torch.tensor(rows)
        MMLogger.get_current_instance().info(
            f'Pseudo-labels are judged on {len(rows)} of {len(sample_ids)} unlabeled '
            'clips by annotations that the training does not see. '
            f'{len(self.dataset) - len(rows)} more annotated clips are not among '
            'them: labeled clips of this training, or clips that it leaves out.'
        )

    def __len__(self) -> int:
        return len(self.rows)

    def maps(self, start: int, stop: int) -> Tensor:
        """Draws the maps, (stop - start, S, S) in [0, 1], of clips start to stop."""
        return torch.stack([self.dataset[n]['gt_map'] for n in self._index[start:stop]])

    def judge(
        self, labels: Tensor, names: Sequence[str], chunk: int = 64
    ) -> dict[str, Tensor]:
        """Measures the labels, (N, M, h, w) in [0, 1], of all clips with truth.

        See :func:`label_quality`; ``chunk`` clips are drawn at once.
        """
        parts = []
        for start in range(0, len(self), chunk):
            stop = min(start + chunk, len(self))
            some = labels[self.rows[start:stop]].float()
            parts.append(label_quality(some, self.maps(start, stop), names))
        return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
