"""TensorBoard backend with charts that combine curves to be compared."""

import logging

from mmengine.logging import print_log
from mmengine.visualization import TensorboardVisBackend

from mmxpl.evaluation.functional import RULES
from mmxpl.registry import VISBACKENDS

# regular expressions of the tags that share a chart. '.' is for '@', which some
# releases of PyTorch replace
CHARTS = {
    'Scores': {
        f'CIoU@0.5, {rule} rule, with reference rows': [
            rf'^(ref/)?[^/=]+/CIoU.0\.5_{rule}$'
        ]
        for rule in RULES
    },
    'Losses': {
        name: [rf'^[^/]+\.loss_{name}$']
        for name in ('supervised', 'pseudo', 'contrastive')
    },
    'Pseudo-labels': {
        'mean area of labels and of the truth': [r'^pseudo_label/([^/]+_area)$'],
        'sharpness': [r'^pseudo_label/[^/]+_sharpness$'],
        'agreement, all and selected clips': [r'^pseudo_label/(selected/)?agreement$'],
        'soft IoU with the truth': [r'^pseudo_label/[^/]+_soft_iou$'],
    },
}
"""dict: charts of TensorBoard's page *Custom Scalars*, by category and title."""


@VISBACKENDS.register_module()
class AVTensorboardVisBackend(TensorboardVisBackend):
    """Writes events for ``tensorboard --logdir work_dirs``.

    On the page *Custom Scalars* the scores of all localizers and the ensemble
    stand in one chart with the reference rows as flat lines, and so do the losses of
    the localizers.

    Where TensorBoard is not installed, one warning says so and nothing is written:
    a training is not worth stopping for it, and ``vis_data/scalars.json`` has every
    number. The only argument is ``save_dir``, the folder of the event file.
    """

    def _init_env(self) -> None:
        """Opens the event file."""
        try:
            super()._init_env()
        except ImportError:
            print_log(
                'TensorBoard is not installed, so this run writes no events for it; '
                'vis_data/scalars.json has every number. Run "pip install '
                'tensorboard", or remove AVTensorboardVisBackend from vis_backends.',
                logger='current',
                level=logging.WARNING,
            )
            self._tensorboard = _NoWriter()
        self._tensorboard.add_custom_scalars(
            {
                category: {title: ['Multiline', tags] for title, tags in charts.items()}
                for category, charts in CHARTS.items()
            }
        )


class _NoWriter:
    """Takes what a writer takes and does nothing."""

    def __getattr__(self, name: str):
        if name.startswith('_'):
            raise AttributeError(name)
        return lambda *args, **kwargs: None
