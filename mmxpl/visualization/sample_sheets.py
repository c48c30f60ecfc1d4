"""Sheets of one sample: its training input, and its pseudo-labels over visits."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from mmxpl.structures import AVDataSample

from .av_visualizer import ground_truth_boxes
from .drawing import (
    FAINT_INK,
    colour_bar,
    colour_map,
    contact_sheet,
    draw_boxes,
    draw_region,
    make_panel,
    map_panel,
    map_title,
    panel_size,
    resize,
    upsample_map,
)

#: A picture, RGB uint8 of shape (H, W, 3), and its ground truth (S, S) or None.
View = tuple[np.ndarray, Tensor | None]


def sample_sheet(
    image: np.ndarray,
    sample: AVDataSample,
    spectrograms: Mapping[str, Tensor],
    views: Sequence[View] = (),
    waveform: Tensor | None = None,
    pseudo_labels: Mapping[str, Tensor] | None = None,
    detail: str = '',
) -> np.ndarray:
    """Draws a sample in a row of panels.

    The frame has its boxes, or the outline of the ground truth where there is no
    box. The ground truth is laid over the frame as a map, which shows the share of
    annotators who agree. Every augmented view has its own ground truth outlined
    at half of its highest value.

    Args:
        image (np.ndarray): Frame, RGB uint8 of shape (H, W, 3).
        sample (AVDataSample): Its ground truth.
        spectrograms (Mapping[str, Tensor]): By name, (1, F, L) of any range; low
            frequencies are drawn at the bottom, values from dark to bright
            between the least and the greatest.
        views (Sequence[View]): Augmented views.
        waveform (Tensor, optional): (T,) in [-1, 1], drawn as the range of the samples
            in each column of pixels.
        pseudo_labels (Mapping[str, Tensor], optional): By name of the localizer, (h, w)
            in [0, 1]; laid over the frame.
        detail (str): Text under the sample's id in place of category and boxes; the
            category then stands at the waveform.

    Returns:
        np.ndarray: RGB uint8 picture.
    """
    size = panel_size(image.shape[:2])
    image = resize(image, size)
    boxes = ground_truth_boxes(sample)
    gt_map = sample.get('gt_map')
    frame = draw_boxes(image, boxes)
    if not len(boxes) and gt_map is not None:
        frame = _outline(frame, gt_map)
    about = detail or _describe(sample, len(boxes))
    panels = [make_panel(frame, sample.sample_id, about)]
    if gt_map is not None:
        cover = f'{100 * float(gt_map.mean()):.0f} % of the frame'
        panels.append(map_panel(image, gt_map, 'Ground truth', cover))
    for name, label in (pseudo_labels or {}).items():
        note = f'pseudo-label, entropy {binary_entropy(label):.2f} bit'
        panels.append(map_panel(image, label, map_title(name), note))
    if waveform is not None:
        peak = f'{len(waveform)} samples, peak {float(waveform.abs().max()):.2f}'
        if detail and sample.get('category'):
            peak = f'{sample.category}, {peak}'
        panels.append(make_panel(_draw_waveform(waveform, size), 'Waveform', peak))
    for name, values in spectrograms.items():
        picture = resize(draw_spectrogram(values), size)
        shape = f'{values.shape[-2]} bands x {values.shape[-1]} steps'
        panels.append(make_panel(picture, name, shape))
    for number, (picture, target) in enumerate(views, 1):
        picture = resize(picture, size)
        if target is not None:
            picture = _outline(picture, target)
        panels.append(make_panel(picture, f'View {number}', 'augmented'))
    return contact_sheet(panels, columns=len(panels))


def _outline(picture: np.ndarray, gt_map: Tensor) -> np.ndarray:
    """Outlines a map where it reaches half of its highest value."""
    values = upsample_map(gt_map, picture.shape[:2])
    return draw_region(picture, values >= max(values.max() / 2, 1e-6))


def _describe(sample: AVDataSample, boxes: int) -> str:
    """Describes category and label of a sample in a line."""
    label = 'unlabeled'
    if sample.get('is_labeled'):
        label = f'{boxes} box{"" if boxes == 1 else "es"}'
        if sample.get('is_sounding') is False:
            label = 'does not sound'
    return ', '.join(part for part in (sample.get('category'), label) if part)


def _draw_waveform(wave: Tensor, size: tuple[int, int]) -> np.ndarray:
    """Draws a waveform (T,) on a scale fixed to -1 ... 1; RGB of this size."""
    height, width = size
    picture = np.full((height, width, 3), 255, np.uint8)
    values = wave.detach().float().cpu().clamp(-1, 1).numpy()
    places = np.rint((1 - values) / 2 * (height - 1))
    starts = np.arange(width) * len(values) // width
    top, bottom = (f.reduceat(places, starts) for f in (np.minimum, np.maximum))
    rows = np.arange(height)[:, None]
    picture[(rows >= top) & (rows <= bottom)] = FAINT_INK
    return picture


def draw_spectrogram(values: Tensor) -> np.ndarray:
    """Colours a spectrogram (1, F, L) between its least and its greatest value.

    Returns:
        np.ndarray: RGB uint8 of shape (F, L, 3), the lowest band at the bottom.
    """
    values = values.detach().float().cpu()[0].flip(0)
    low, high = values.aminmax()
    values = (values - low) / (high - low).clamp(min=1e-6)
    return colour_map(values.clamp(0, 1).numpy())


def pseudo_label_strip(
    image: np.ndarray,
    labels: Mapping[str, Tensor],
    visits: Sequence[int],
    title: str = '',
) -> np.ndarray:
    """Draws one sample's pseudo-labels after successive visits.

    Every panel states the mean binary entropy of its label, which falls as the
    label becomes sharper.

    Args:
        image (np.ndarray): Frame, RGB uint8 of shape (H, W, 3).
        labels (Mapping[str, Tensor]): By name of the localizer (``a``, ``b``), (V, h,
            w) in [0, 1]; each is a row.
        visits (Sequence[int]): The number of each of the V visits.
        title (str): Name of the sample.

    Returns:
        np.ndarray: RGB uint8 picture.

    Raises:
        ValueError: If the labels are not one map for each visit.
    """
    for maps in labels.values():
        if maps.dim() != 3 or len(maps) != len(visits) or not len(visits):
            raise ValueError(
                'labels must have the shape (V, h, w) with one map for each of '
                f'the {len(visits)} visits, but have {tuple(maps.shape)}'
            )
    size = panel_size(image.shape[:2])
    image = resize(image, size)
    panels = []
    for name, maps in labels.items():
        panels.append(make_panel(image, title or 'Frame', map_title(name)))
        for visit, label in zip(visits, maps, strict=True):
            detail = f'entropy {binary_entropy(label):.2f} bit'
            panels.append(map_panel(image, label, f'Visit {visit}', detail))
        panels.append(colour_bar(size))
    return contact_sheet(panels, columns=len(visits) + 2)


def binary_entropy(prob: Tensor) -> float:
    """Computes the mean binary entropy of a map in bits, in [0, 1]."""
    prob = prob.detach().float()
    entropy = torch.special.entr(prob) + torch.special.entr(1 - prob)
    return float(entropy.mean() / np.log(2))
