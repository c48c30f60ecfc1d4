"""Pictures: samples with their maps, pseudo-labels over visits, curves."""

from .av_visualizer import AVLocVisualizer
from .contact_sheet import contact_sheet
from .curves import plot_learning_curves
from .image_io import load_frame, write_picture
from .label_strip import pseudo_label_strip
from .reliability import reliability_histogram
from .tensorboard_backend import AVTensorboardVisBackend

__all__ = [
    'AVLocVisualizer',
    'AVTensorboardVisBackend',
    'contact_sheet',
    'plot_learning_curves',
    'pseudo_label_strip',
    'reliability_histogram',
    'load_frame',
    'write_picture',
]
