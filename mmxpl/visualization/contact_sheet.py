"""Many pictures on one sheet."""

from collections.abc import Sequence

import numpy as np


def contact_sheet(
    panels: Sequence[np.ndarray],
    columns: int = 1,
    padding: int = 12,
) -> np.ndarray:
    """Arrange pictures in a grid on white, row by row.

    Nothing is scaled. A column is as wide as its widest picture and a row as
    high as its highest; smaller pictures sit in the upper left of their cell.

    Args:
        panels (Sequence[np.ndarray]): RGB uint8 pictures of shape (H, W, 3), of
            any sizes.
        columns (int): Pictures in a row.
        padding (int): Space around and between them, in pixels.

    Returns:
        np.ndarray: RGB uint8 sheet.

    Raises:
        ValueError: If there is no picture or ``columns`` is not positive.
    """
    if not len(panels) or columns < 1:
        raise ValueError(
            'a contact sheet needs at least one picture and one column, '
            f'but has {len(panels)} and {columns}'
        )
    rows = [panels[i : i + columns] for i in range(0, len(panels), columns)]
    heights = [max(panel.shape[0] for panel in row) for row in rows]
    widths = [
        max(panel.shape[1] for panel in panels[column::columns])
        for column in range(min(columns, len(panels)))
    ]
    tops = padding + np.cumsum([0, *(height + padding for height in heights)])
    lefts = padding + np.cumsum([0, *(width + padding for width in widths)])
    sheet = np.full((tops[-1], lefts[-1], 3), 255, np.uint8)
    # the sums have one item more (the far edge), and the last row may be short
    for top, row in zip(tops, rows, strict=False):
        for left, panel in zip(lefts, row, strict=False):
            height, width = panel.shape[:2]
            sheet[top : top + height, left : left + width] = panel
    return sheet
