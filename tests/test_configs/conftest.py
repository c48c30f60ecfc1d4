"""Trains a config for an iteration or two, on a dozen clips."""

import copy
import os
from pathlib import Path

import pytest
from mmengine.hooks import Hook
from mmengine.logging import MessageHub, MMLogger
from mmengine.runner import Runner
from mmengine.visualization import Visualizer

from mmxpl.datasets.dataset_wrappers import config_leaves
from mmxpl.engine.runner import drop_hooks
from mmxpl.utils.cli import load_config
from mmxpl.utils.config_overrides import apply_method, merge_options

SMALL = {
    'train_dataloader.num_workers': 0,
    'train_dataloader.persistent_workers': False,
}
# at most
SIDE, SECONDS = 64, 1
# hooks without effect on an iteration
LOOKERS = ('pseudo_label_monitor', 'pseudo_label_strip', 'calibration')
LOOKERS += ('preemption', 'visualization', 'checkpoint', 'logger')
XML = (
    '<annotation><person><bbox><id>1</id><xmin>0</xmin><ymin>0</ymin>'
    '<xmax>128</xmax><ymax>128</ymax></bbox></person></annotation>'
)
# folders of lists that configs name
LISTS = ('144k', '10k', 'openset', 'flickr_labels')


class Record(Hook):
    """Keeps what the last iteration gave."""

    priority = 'LOWEST'

    def __init__(self):
        self.losses, self.labels = None, None

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        samples = data_batch['data_samples']
        self.labels = [s.pseudo_label for s in samples if 'pseudo_label' in s]

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses = {name: float(value) for name, value in outputs.items()}


def write_lists(folder, **parts):
    folder.mkdir(parents=True, exist_ok=True)
    for name, numbers in parts.items():
        ids = ''.join(f'clip-{n:02d}\n' for n in numbers)
        (folder / f'{name}.txt').write_text(ids)


@pytest.fixture
def data(spoilable_world, monkeypatch):
    """One folder that serves as every data set, with all lists."""
    root = spoilable_world
    for name in LISTS:
        write_lists(
            root / 'lists' / name,
            labeled=range(0, 2),
            val=range(2, 4),
            test=range(4, 6),
            unlabeled=range(6, 10),
        )
    write_lists(
        root, train_heard=range(8), val_heard=range(8, 10), test_unheard=range(10, 12)
    )
    for name in ('vggss_test.csv', 'vggss_unheard_test.csv'):
        (root / 'lists' / name).write_bytes(b'clip-10,1\r\nclip-11,2\r\n')
    (root / 'Annotations').mkdir()
    for n in range(12):
        (root / 'Annotations' / f'clip-{n:02d}.xml').write_text(XML)
    monkeypatch.setenv('MMXPL_DATA_ROOT', str(root))
    monkeypatch.setenv('MMXPL_FLICKR_ROOT', str(root))
    return root


@pytest.fixture
def train_shortly(read_as, tiny_world, tmp_path, monkeypatch):
    """Gives a function that trains a little, pseudo-labels included."""
    monkeypatch.setenv('MMXPL_DATA_ROOT', str(tiny_world))

    def train(path, method=None, options=None, steps=1):
        """Trains.

        Args:
            path (Path): the config.
            method (str, optional): as after ``--method``.
            options (dict, optional): as after ``--cfg-options``.
            steps (int): iterations of an epoch.

        Returns:
            tuple[Runner, Record]: the runner and what the last iteration gave.
        """
        for singleton in (MMLogger, MessageHub, Visualizer):
            singleton._instance_dict.clear()
        cfg = read_as(path, method)
        merge_options(cfg, {**SMALL, **(options or {})})
        # half of the eight clips have boxes, or as the options say
        dataset = cfg.train_dataloader.dataset
        if 'labeled_fraction' in dataset:
            dataset.labeled_fraction = max(dataset.labeled_fraction, 0.5)
        # test_configs.py trains on inputs of the config's own size
        for leaf in config_leaves(cfg.train_dataloader):
            for step in leaf['pipeline']:
                if step['type'] == 'LoadFrame':
                    step['size'] = tuple(min(side, SIDE) for side in step['size'])
                if step['type'] == 'LoadAudio':
                    step['duration'] = min(step['duration'], SECONDS)
        sampler = cfg.train_dataloader.sampler
        sampler.num_batches = steps
        sampler.labeled_per_batch = min(sampler.labeled_per_batch, 2)
        sampler.unlabeled_per_batch = min(sampler.unlabeled_per_batch, 3)
        # the area of the boxes is learnt in a warm-up
        labels = cfg.default_hooks.pseudo_label or {}
        warmup = int(labels.get('align_area', False))
        cfg.train_cfg.update(max_epochs=1 + warmup, warmup_epochs=warmup)
        cfg.update(
            work_dir=str(tmp_path / 'run'),
            log_level='ERROR',
            experiment_name=f'{Path(path).stem}{len(list(tmp_path.iterdir()))}',
            val_cfg=None,
            val_dataloader=None,
            val_evaluator=None,
            test_cfg=None,
            test_dataloader=None,
            test_evaluator=None,
        )
        cfg.default_hooks.update(dict.fromkeys(LOOKERS))
        drop_hooks(cfg)
        # without yapf, which takes more time than all else
        object.__setattr__(cfg, '_format_python_code', False)
        # not by build_runner, which changes torch.load for all tests that follow
        runner, record = Runner.from_cfg(cfg), Record()
        runner.register_hook(record)
        runner.train()
        return runner, record

    return train


@pytest.fixture(scope='session')
def read_as():
    """Gives a function that reads a config as a method's, from the tests' memory."""
    seen = {}

    def load(path, method=None):
        # configs read variables
        variables = (v for v in sorted(os.environ.items()) if v[0].startswith('MMXPL_'))
        key = path, *variables
        if key not in seen:
            seen[key] = load_config(str(path))
        cfg = copy.deepcopy(seen[key])
        if method:
            apply_method(cfg, method)
        return cfg

    return load
