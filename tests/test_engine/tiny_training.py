"""A training with pseudo-labels on noise clips in memory."""

import copy

import torch
from mmengine.config import ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook
from mmengine.logging import MessageHub, MMLogger
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from torch.utils.data import ConcatDataset

import mmxpl.engine
import mmxpl.models  # noqa: F401
from mmxpl.registry import MODELS
from mmxpl.testing import tiny_batch, tiny_model_cfg

NUM_LABELED, NUM_UNLABELED = 4, 6


class Clips(torch.utils.data.Dataset):
    """Fixed noise clips."""

    metainfo = {}

    def __init__(self, labeled):
        batch = tiny_batch(NUM_LABELED, NUM_UNLABELED)
        rows = range(NUM_LABELED) if labeled else range(NUM_LABELED, 10)
        self.items = [
            dict(
                inputs={k: v[i] for k, v in batch['inputs'].items()},
                data_samples=batch['data_samples'][i],
            )
            for i in rows
        ]
        self.sample_ids = [i['data_samples'].sample_id for i in self.items]

    def full_init(self):
        pass

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return copy.deepcopy(self.items[index])


def make_runner(
    tmp_path,
    hook,
    max_epochs=4,
    hooks=(),
    resume=False,
    curriculum=None,
    checkpoint='CheckpointHook',
    names=('a', 'b'),
):
    for singleton in (MMLogger, MessageHub, Visualizer):
        singleton._instance_dict.clear()
    loader = dict(
        dataset=ConcatDataset([Clips(True), Clips(False)]),
        num_workers=0,
        sampler=dict(
            type='CurriculumSampler',
            labeled_per_batch=2,
            unlabeled_per_batch=3,
            curriculum=curriculum,
        ),
        collate_fn=pseudo_collate,
    )
    hook = dict(hook)
    warmup = hook.pop('warmup_epochs')
    torch.manual_seed(7)
    model = tiny_model_cfg()
    model['localizers'] = {n: model['localizers'].get(n, 'a') for n in names}
    runner = Runner(
        model=MODELS.build(model),
        work_dir=str(tmp_path),
        train_dataloader=loader,
        train_cfg=dict(
            type='ResumableTrainLoop', max_epochs=max_epochs, warmup_epochs=warmup
        ),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-2)),
        default_hooks=dict(
            logger=None,
            checkpoint=dict(type=checkpoint, published_keys=['meta', 'state_dict']),
        ),
        custom_hooks=[dict(type='CrossPseudoLabelHook', **hook), *hooks],
        default_scope='mmxpl',
        experiment_name=f'{tmp_path.name}{max_epochs}{resume}',
        randomness=dict(seed=7),
        log_level='ERROR',
        resume=resume,
        cfg=ConfigDict(),
    )
    return runner


class Watch(Hook):
    """Keeps what each iteration's learner was given."""

    priority = 'LOWEST'

    def __init__(self):
        self.targets, self.losses = [], []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.targets.append(
            {
                s.sample_idx: s.pseudo_label.clone()
                for s in data_batch['data_samples']
                if 'pseudo_label' in s
            }
        )

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses.append({k: float(v) for k, v in outputs.items()})


def hook_of(runner):
    (hook,) = (h for h in runner.hooks if type(h).__name__ == 'CrossPseudoLabelHook')
    return hook
