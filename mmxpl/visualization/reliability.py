"""How many clips are how reliable."""

import numpy as np
from torch import Tensor

from .curves import COLOURS

NUM_BINS = 40


def reliability_histogram(scores: Tensor, selected: Tensor) -> np.ndarray:
    """Draws the reliability of all clips, and of the selected ones before it.

    The scale is fixed to 0 ... 1, so that pictures of different epochs and runs can
    be compared by eye.

    Args:
        scores (Tensor): (N,) in [0, 1].
        selected (Tensor): (N,) bool.

    Returns:
        np.ndarray: RGB uint8 of shape (300, 500, 3).
    """
    # these classes draw into memory: no window system, no global state
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3), dpi=100, layout='constrained')
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    bins = np.linspace(0, 1, NUM_BINS + 1)
    kept = scores[selected]
    axes.hist(scores.numpy(), bins, color='0.8', label=f'all {len(scores)}')
    axes.hist(kept.numpy(), bins, color=COLOURS[0], label=f'selected {len(kept)}')
    axes.set(xlim=(0, 1), xlabel='Reliability', ylabel='Clips')
    axes.spines[['top', 'right']].set_visible(False)
    axes.legend(frameon=False)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
