"""A training with pseudo-labels on noise clips in memory."""

import functools

import torch
from mmengine.config import ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook
from mmengine.logging import MessageHub, MMLogger
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from torch.utils.data import ConcatDataset, Dataset

import mmxpl.engine
import mmxpl.models  # noqa: F401
from mmxpl.registry import MODELS
from mmxpl.testing import tiny_batch, tiny_model_cfg

NUM_LABELED, NUM_UNLABELED = 4, 6
LOAD = [
    dict(type='LoadFrame', size=48),
    dict(type='LoadAudio', sample_rate=8000, duration=0.5),
    dict(type='RasterizeTargets', size=56),
    dict(type='PackAVInputs'),
]


class Clips(Dataset):
    """Fixed noise clips, some of those of a batch."""

    metainfo = {}

    def __init__(self, first, last, batch=(NUM_LABELED, NUM_UNLABELED)):
        self.batch, self.first = tiny_batch(*batch), first
        self.samples = self.batch['data_samples'][first:last]
        self.sample_ids = [s.sample_id for s in self.samples]

    def full_init(self):
        pass

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        at = self.first + index
        return dict(
            inputs={k: v[at].clone() for k, v in self.batch['inputs'].items()},
            data_samples=self.samples[index].clone(),
        )


LABELED = functools.partial(Clips, 0, NUM_LABELED)
UNLABELED = functools.partial(Clips, NUM_LABELED, NUM_LABELED + NUM_UNLABELED)


def shallow_model_cfg(norm='BN'):
    """Makes the config of the tiny model with half of its layers."""
    cfg = tiny_model_cfg(norm)
    stage = dict(num_stages=1, strides=(2,), dilations=(1,), out_indices=(0,))
    stage.update(stem_channels=4)  # a shortcut of weights whatever the strides
    for localizer in cfg['localizers'].values():
        localizer['visual_backbone'] = dict(localizer['visual_backbone'], **stage)
    encoder = cfg['localizers']['a']['audio_encoder']
    encoder.update(backbone=dict(encoder['backbone'], **stage), out_channels=8)
    return cfg


def part(world, **options):
    """Config of a half of the training clips of the tiny world."""
    return dict(
        type='AVJsonDataset',
        data_root=str(world),
        id_list='train.txt',
        fraction=0.5,
        pipeline=LOAD,
        **options,
    )


def runner_of(
    work_dir,
    model,
    datasets,
    sampler,
    hooks,
    epochs,
    name,
    val_interval=1,
    **settings,
):
    """A runner of a model and of data sets or their configs.

    ``epochs`` are all and those of the warm-up; settings are arguments of the runner.
    """
    for singleton in (MMLogger, MessageHub, Visualizer):
        singleton._instance_dict.clear()
    max_epochs, warmup_epochs = epochs
    configs = isinstance(datasets[0], dict)
    given = dict(
        train_dataloader=dict(
            dataset=dict(type='ConcatDataset', datasets=datasets)
            if configs
            else ConcatDataset(datasets),
            num_workers=0,
            sampler=dict(dict(type='CurriculumSampler'), **sampler),
            collate_fn=pseudo_collate,
        ),
        train_cfg=dict(
            type='ResumableTrainLoop',
            max_epochs=max_epochs,
            warmup_epochs=warmup_epochs,
            val_interval=val_interval,
        ),
        default_hooks=dict(logger=None, checkpoint=None),
        custom_hooks=hooks,
        default_scope='mmxpl',
        experiment_name=name,
        log_level='ERROR',
        cfg=ConfigDict(),
    )
    return Runner(model=model, work_dir=str(work_dir), **given | settings)


def make_runner(
    tmp_path,
    hook,
    max_epochs=4,
    hooks=(),
    resume=False,
    curriculum=None,
    checkpoint='CheckpointHook',
    names=('a', 'b'),
    model=None,
):
    hook = dict(hook)
    epochs = max_epochs, hook.pop('warmup_epochs')
    torch.manual_seed(7)
    model = model or shallow_model_cfg()
    model['localizers'] = {n: model['localizers'].get(n, 'a') for n in names}
    return runner_of(
        tmp_path,
        MODELS.build(model),
        [LABELED(), UNLABELED()],
        dict(labeled_per_batch=2, unlabeled_per_batch=3, curriculum=curriculum),
        [dict(type='CrossPseudoLabelHook', **hook), *hooks],
        epochs,
        f'{tmp_path.name}{max_epochs}{resume}',
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-2)),
        default_hooks=dict(
            logger=None,
            checkpoint=dict(type=checkpoint, published_keys=['meta', 'state_dict']),
        ),
        randomness=dict(seed=7),
        resume=resume,
    )


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
