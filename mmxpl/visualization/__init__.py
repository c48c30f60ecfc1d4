"""Pictures: samples with their maps, pseudo-labels over visits, charts of logs."""

from .av_visualizer import AVLocVisualizer
from .charts import plot_learning_curves, reliability_histogram
from .drawing import contact_sheet, load_frame, read_picture, write_picture
from .sample_sheets import pseudo_label_strip, sample_sheet
from .tensorboard_backend import AVTensorboardVisBackend
