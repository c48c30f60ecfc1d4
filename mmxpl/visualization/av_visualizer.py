"""Visualizer of samples: frame, ground truth and maps in a row of panels."""

from collections.abc import Iterator
from string import ascii_lowercase

import numpy as np
from mmengine.dist import master_only
from mmengine.visualization import Visualizer
from torch import Tensor

from mmxpl.evaluation.functional import RULES, GroundTruth, score_maps
from mmxpl.registry import VISUALIZERS
from mmxpl.structures import AVDataSample
from mmxpl.utils.errors import DataError

from .drawing import (
    colour_bar,
    contact_sheet,
    draw_boxes,
    draw_region,
    make_panel,
    map_panel,
    map_title,
    panel_size,
    resize,
    upsample_map,
    write_picture,
)

_WITHOUT_DISPLAY = ('agg', 'cairo', 'pdf', 'pgf', 'ps', 'svg', 'template')


@VISUALIZERS.register_module()
class AVLocVisualizer(Visualizer):
    """Draws a sample's ground truth, predictions and pseudo-labels over its frame.

    A row shows the frame with its ground truth, then every map of the sample,
    laid over the frame. Colours stand for probabilities on a scale fixed to
    0 ... 1, drawn at the end of the row, so pictures of different samples,
    models and epochs are comparable. A white line runs at 0.5. Where the ground
    truth is known, each predicted map also states its CIoU.

    Args:
        name (str): Name of the instance.
        rule (str): Threshold rule of the CIoU in the titles, a key of
            ``mmxpl.evaluation.functional.RULES``.
        **kwargs: Further arguments of :class:`mmengine.visualization.Visualizer`,
            such as ``vis_backends`` and ``save_dir``.

    Examples:
        >>> visualizer = AVLocVisualizer()
        >>> visualizer.add_datasample(
        ...     'clip', frame, data_sample, out_file='clip.png')
    """

    def __init__(self, name: str = 'visualizer', rule: str = 'adaptive', **kwargs):
        if rule not in RULES:
            raise ValueError(f'rule must be one of {sorted(RULES)}, but is {rule!r}')
        super().__init__(name, **kwargs)
        self.rule = rule

    def show(self, *args, **kwargs):
        """Shows a picture as MMEngine does.

        Raises a DataError where there is no display, on which MMEngine waits for ever.
        """
        import matplotlib.pyplot as plt

        backend = plt.get_backend().lower()
        if backend in _WITHOUT_DISPLAY:
            raise DataError(
                f"show: there is no display (matplotlib's backend is {backend}). Leave "
                'it out, and look at the files that are written.'
            )
        return super().show(*args, **kwargs)

    @master_only
    def add_datasample(
        self,
        name: str,
        image: np.ndarray,
        data_sample: AVDataSample | None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        step: int = 0,
        draw_pseudo_label: bool = False,
    ) -> np.ndarray:
        """Draws a sample and shows it, writes it, or passes it to the backends.

        Does nothing on ranks other than 0.

        Args:
            name (str): Name of the picture.
            image (np.ndarray): Frame, RGB uint8 of shape (H, W, 3).
            data_sample (AVDataSample, optional): Its ground truth and maps.
            draw_gt (bool): Whether to draw the ground truth.
            draw_pred (bool): Whether to draw predictions.
            show (bool): Whether to open a window.
            wait_time (float): Seconds the window stays, 0 for until a key is pressed.
            out_file (str, optional): PNG to write. Without it and without ``show`` the
                picture goes to the visualizer's backends.
            step (int): Step that backends record.
            draw_pseudo_label (bool): Whether to draw the pseudo-labels.

        Returns:
            np.ndarray: The picture, RGB uint8.
        """
        picture = self.draw(image, data_sample, draw_gt, draw_pred, draw_pseudo_label)
        if show:
            self.show(picture, win_name=name, wait_time=wait_time)
        if out_file is not None:
            write_picture(picture, out_file)
        elif not show:
            self.add_image(name, picture, step)
        return picture

    def draw(
        self,
        image: np.ndarray,
        data_sample: AVDataSample | None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        draw_pseudo_label: bool = False,
    ) -> np.ndarray:
        """Draws a sample, on any rank, without showing or writing it.

        The arguments are those of :meth:`add_datasample`.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(
                'image must be RGB uint8 of shape (H, W, 3), but is '
                f'{image.dtype} of shape {image.shape}'
            )
        sample = AVDataSample() if data_sample is None else data_sample
        size = panel_size(image.shape[:2])
        image = resize(image, size)
        boxes = ground_truth_boxes(sample) if draw_gt else np.zeros((0, 4))

        frame = draw_boxes(image, boxes)
        if draw_gt and not len(boxes) and 'gt_map' in sample:
            frame = draw_region(frame, upsample_map(sample.gt_map, size) >= 0.5)
        title, detail = sample.get('sample_id'), sample.get('category')
        panels = [make_panel(frame, title or 'Frame', detail or '')]
        maps = self._maps(sample, draw_gt, draw_pred, draw_pseudo_label)
        for title, detail, prob in maps:
            panels.append(map_panel(image, prob, title, detail, boxes))
        if len(panels) > 1:
            panels.append(colour_bar(size))
        return contact_sheet(panels, columns=len(panels))

    def _maps(
        self, sample: AVDataSample, draw_gt: bool, draw_pred: bool, draw_label: bool
    ) -> Iterator[tuple[str, str, Tensor]]:
        """Yields title, detail and map of each panel after the first."""
        if draw_pred and 'pred_map' in sample:
            for name, prob in sorted(sample.pred_map.items()):
                detail = ''
                if draw_gt and 'gt_map' in sample and sample.gt_map.any():
                    score = sample_ciou(prob, sample.gt_map, self.rule)
                    detail = f'CIoU {score:.2f} ({self.rule})'
                yield map_title(name), detail, prob
        if draw_label and 'pseudo_label' in sample:
            names = sample.get('localizers', ascii_lowercase)
            for name, label in zip(names, sample.pseudo_label, strict=False):
                yield map_title(name), 'pseudo-label', label[None]


def ground_truth_boxes(sample: AVDataSample) -> np.ndarray:
    """Returns the boxes of a sample, (N, 4) normalised; N may be 0."""
    if 'gt_instances' not in sample or 'bboxes' not in sample.gt_instances:
        return np.zeros((0, 4))
    return sample.gt_instances.bboxes.cpu().numpy()


def sample_ciou(prob: Tensor, gt_map: Tensor, rule: str) -> float:
    """Computes the CIoU, in [0, 1], of a map (1, h, w) as the evaluation does."""
    gt = GroundTruth(gt_map.detach().cpu()[None])
    return score_maps(prob.detach().cpu(), gt, [rule]).item()
