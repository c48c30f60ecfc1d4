"""How the pseudo-labels of one sample change from visit to visit."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from .contact_sheet import contact_sheet
from .heatmap import overlay_heatmap
from .panel import colour_bar, draw_boxes, make_panel, panel_size, resize


def map_title(name: str) -> str:
    """Name a map for people: ``a`` is localizer A, ``ens`` the ensemble."""
    if len(name) == 1:
        return f'Localizer {name.upper()}'
    return 'Ensemble' if name == 'ens' else name


def binary_entropy(prob: Tensor) -> float:
    """Mean binary entropy of a map in bits: 0 is decided, 1 undecided."""
    prob = prob.detach().float()
    entropy = torch.special.entr(prob) + torch.special.entr(1 - prob)
    return float(entropy.mean() / np.log(2))


def pseudo_label_strip(
    image: np.ndarray,
    labels: Tensor | Mapping[str, Tensor],
    visits: Sequence[int],
    gt_boxes: np.ndarray | Tensor | None = None,
    title: str = '',
) -> np.ndarray:
    """Show one sample's pseudo-labels after successive visits.

    Every panel states the mean binary entropy of its label, which falls as the
    label becomes sharper.

    Args:
        image (np.ndarray): Frame, RGB uint8 of shape (H, W, 3).
        labels (Tensor | Mapping[str, Tensor]): The labels in [0, 1], of shape
            (V, h, w); or such labels by localizer name (``a``, ``b``), one row
            each.
        visits (Sequence[int]): The number of each of the V visits.
        gt_boxes (np.ndarray | Tensor, optional): (N, 4), x1 y1 x2 y2 normalised to [0,
            1].
        title (str): Name of the sample.

    Returns:
        np.ndarray: RGB uint8 picture.

    Raises:
        ValueError: If the labels are not one map for each visit.
    """
    rows = labels if isinstance(labels, Mapping) else {'': labels}
    for maps in rows.values():
        if maps.dim() != 3 or len(maps) != len(visits) or not len(visits):
            raise ValueError(
                'labels must have the shape (V, h, w) with one map for each of '
                f'the {len(visits)} visits, but have {tuple(maps.shape)}'
            )
    boxes = np.zeros((0, 4)) if gt_boxes is None else np.asarray(gt_boxes)
    size = panel_size(image.shape[:2])
    image = resize(image, size)
    frame = draw_boxes(image, boxes)
    panels = []
    for name, maps in rows.items():
        panels.append(make_panel(frame, title or 'Frame', name and map_title(name)))
        for visit, label in zip(visits, maps, strict=True):
            picture = draw_boxes(overlay_heatmap(image, label), boxes)
            detail = f'entropy {binary_entropy(label):.2f} bit'
            panels.append(make_panel(picture, f'Visit {visit}', detail))
        panels.append(colour_bar(size))
    return contact_sheet(panels, columns=len(visits) + 2)
