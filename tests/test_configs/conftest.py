"""Runs a config of the synthetic world for an iteration, on a dozen clips."""

import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MessageHub, MMLogger
from mmengine.runner import Runner
from mmengine.visualization import Visualizer

from mmxpl.utils.config_options import merge_options

SMALL = {
    'train_cfg.max_epochs': 1,
    'train_dataloader.num_workers': 0,
    'train_dataloader.persistent_workers': False,
    'train_dataloader.sampler.num_batches': 1,
}
# hooks without effect on an iteration
LOOKERS = ('PseudoLabelMonitorHook', 'PseudoLabelStripHook', 'AreaCalibrationHook')


class Record(Hook):
    """Keeps what one iteration gave."""

    priority = 'LOWEST'

    def __init__(self):
        self.losses, self.labels = None, None

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        samples = data_batch['data_samples']
        self.labels = [s.pseudo_label for s in samples if 'pseudo_label' in s]

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses = {name: float(value) for name, value in outputs.items()}


@pytest.fixture
def one_iteration(tiny_world, tmp_path, monkeypatch):
    """Gives a function that trains once, pseudo-labels included."""
    monkeypatch.setenv('MMXPL_DATA_ROOT', str(tiny_world))

    def train(path, options=None):
        """Trains.

        Args:
            path (Path): the config.
            options (dict, optional): as after ``--cfg-options``.

        Returns:
            tuple[Runner, Record]: the runner and what the iteration gave.
        """
        for singleton in (MMLogger, MessageHub, Visualizer):
            singleton._instance_dict.clear()
        cfg = Config.fromfile(path)
        merge_options(cfg, SMALL)
        merge_options(cfg, options or {})
        # half of the eight clips have boxes, or as the options say
        for part in cfg.train_dataloader.dataset.datasets:
            part.fraction = max(part.fraction, 0.5)
        sampler = cfg.train_dataloader.sampler
        sampler.labelled_per_batch = min(sampler.labelled_per_batch, 2)
        sampler.unlabelled_per_batch = min(sampler.unlabelled_per_batch, 3)
        cfg.train_dataloader.batch_size = (
            sampler.labelled_per_batch + sampler.unlabelled_per_batch
        )
        if sampler.curriculum is not None:
            sampler.curriculum.update(begin=0, until=1)
        for hook in cfg.custom_hooks:
            if 'warmup_epochs' in hook:
                # the area of the boxes is learnt in a warm-up
                hook.warmup_epochs = int(hook.get('align_area', False))
                cfg.train_cfg.max_epochs = 1 + hook.warmup_epochs
        cfg.update(
            work_dir=str(tmp_path / 'run'),
            log_level='ERROR',
            experiment_name=f'{path.stem}{len(list(tmp_path.iterdir()))}',
            val_cfg=None,
            val_dataloader=None,
            val_evaluator=None,
            test_cfg=None,
            test_dataloader=None,
            test_evaluator=None,
        )
        cfg.default_hooks.update(checkpoint=None, logger=None)
        for name in ('preemption', 'visualization'):
            cfg.default_hooks.pop(name)
        cfg.custom_hooks = [
            hook for hook in cfg.custom_hooks if hook['type'] not in LOOKERS
        ]
        runner, record = Runner.from_cfg(cfg), Record()
        runner.register_hook(record)
        runner.train()
        return runner, record

    return train
