"""Two gloo processes train exactly what one process trains on the same batches."""

import os
import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.config import ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import ConcatDataset, Dataset

from mmxpl.testing import tiny_batch, tiny_model_cfg

pytestmark = pytest.mark.slow

EPOCHS = 3


class Clips(Dataset):
    """Fixed noise clips, in memory."""

    metainfo = {}

    def __init__(self, labelled):
        self.batch, self.first = tiny_batch(4, 8), 0 if labelled else 4
        self.sample_ids = [
            s.sample_id
            for s in self.batch['data_samples'][self.first : 4 if labelled else 12]
        ]

    def full_init(self):
        pass

    def __len__(self):
        return len(self.sample_ids)

    def __getitem__(self, index):
        at = self.first + index
        return dict(
            inputs={k: v[at] for k, v in self.batch['inputs'].items()},
            data_samples=self.batch['data_samples'][at].clone(),
        )


class Record(Hook):
    """Keeps losses, and at the end weights and labels."""

    priority = 'LOWEST'

    def __init__(self):
        self.losses = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses.append({k: float(v) for k, v in outputs.items()})


def train(world_size, work_dir, settings):
    import mmxpl.engine
    import mmxpl.models  # noqa: F401
    from mmxpl.engine.dist import use_cpu_dist
    from mmxpl.registry import MODELS

    cfg = ConfigDict(launcher='pytorch' if world_size > 1 else 'none')
    use_cpu_dist(cfg)
    record = Record()
    torch.manual_seed(0)
    # group normalisation: statistics of a batch depend on how it is divided
    model = MODELS.build(tiny_model_cfg(norm='GN'))
    runner = Runner(
        model=model,
        work_dir=work_dir,
        train_dataloader=dict(
            dataset=ConcatDataset([Clips(True), Clips(False)]),
            batch_size=6 // world_size,
            num_workers=0,
            sampler=dict(
                type='CurriculumSampler',
                labelled_per_batch=2 // world_size,
                unlabelled_per_batch=4 // world_size,
                curriculum=dict(start=0.5, begin=1, until=EPOCHS),
            ),
            collate_fn=pseudo_collate,
        ),
        train_cfg=dict(by_epoch=True, max_epochs=EPOCHS),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.05)),
        default_hooks=dict(logger=None, checkpoint=None),
        custom_hooks=[
            dict(type='CrossPseudoLabelHook', warmup_epochs=1, **settings),
            record,
        ],
        default_scope='mmxpl',
        randomness=dict(seed=5),
        experiment_name=f'world{world_size}',
        log_level='ERROR',
        cfg=cfg,
        launcher=cfg.launcher,
    )
    runner.train()
    model = getattr(runner.model, 'module', runner.model)
    (hook,) = (h for h in runner.hooks if type(h).__name__ == 'CrossPseudoLabelHook')
    return dict(
        losses=record.losses,
        weights=model.state_dict(),
        labels=hook.bank.labels,
        **hook.source.state_dict(),
        selected=hook.sampler.selected(),
    )


def process(rank, world_size, port, folder, settings):
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(world_size),
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT=str(port),
    )
    torch.set_num_threads(1)
    outcome = train(world_size, folder, settings)
    torch.save(outcome, f'{folder}/{world_size}_{rank}.pth')
    if dist.is_initialized():
        dist.destroy_process_group()


@pytest.mark.parametrize(
    'settings',
    [
        dict(align_area=True),
        # some labels of A are below the threshold, some are not
        dict(teacher_momentum=0.9, reliability=['confidence'], min_confidence=0.275),
    ],
    ids=['align_area', 'teacher'],
)
def test_two_processes_equal_one(tmp_path, settings):
    for world_size in (1, 2):
        with socket.socket() as server:
            server.bind(('127.0.0.1', 0))
            port = server.getsockname()[1]
        mp.start_processes(
            process,
            (world_size, port, str(tmp_path), settings),
            nprocs=world_size,
            start_method='spawn',
        )
    one, first, second = (
        torch.load(tmp_path / name, weights_only=False)
        for name in ('1_0.pth', '2_0.pth', '2_1.pth')
    )
    assert torch.equal(one['selected'], first['selected'])
    assert torch.equal(first['labels'], second['labels'])
    assert (one['labels'].float() - first['labels'].float()).abs().max() < 2e-3
    for key, value in one.get('area_alignment', {}).items():
        assert first['area_alignment'][key] == pytest.approx(value, abs=1e-3), key
    assert ('teacher' in one) == ('teacher_momentum' in settings)
    for net in {'weights', 'teacher'} & one.keys():
        for name, weight in one[net].items():
            assert torch.equal(first[net][name], second[net][name]), name
            torch.testing.assert_close(
                weight.float(), first[net][name].float(), atol=1e-4, rtol=1e-4
            )
    assert len(one['losses']) == len(first['losses']) == EPOCHS * 2
    if 'teacher' in one:
        assert any(0 < step['a.taught'] < 1 for step in one['losses'][2:])
    for step, (whole, a, b) in enumerate(
        zip(one['losses'], first['losses'], second['losses'], strict=True)
    ):
        for key, value in whole.items():
            halves = (a[key] + b[key]) / 2
            assert halves == pytest.approx(value, abs=1e-4, rel=1e-4), (step, key)
        if step >= 2:
            assert whole['b.loss_pseudo'] > 0
