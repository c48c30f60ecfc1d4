import random

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from torch.utils.data import Dataset

from mmxpl.engine.resume.loop import ResumableTrainLoop, seed_step
from mmxpl.utils import DataError


def draw():
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_random_numbers_follow_from_seed_and_step():
    seed_step(3, 7)
    first = draw()
    assert draw() != first
    seed_step(3, 7)
    assert draw() == first
    others = set()
    for seed, step in ((3, 8), (4, 7), (7, 3)):
        seed_step(seed, step)
        others.add(draw())
    assert len(others | {first}) == 4


class Numbers(Dataset):
    """Clips that note when they are read, and draw at random."""

    metainfo = {}

    def __init__(self):
        self.read = []

    def __len__(self):
        return 8

    def __getitem__(self, index):
        self.read.append(index)
        return torch.tensor([index, random.random()])


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = []

    def forward(self, inputs, mode='tensor'):
        noise = torch.rand(())
        self.seen.append((inputs.tolist(), float(noise)))
        return dict(loss=(self.weight - noise).square())


def collate(rows):
    return dict(inputs=torch.stack(rows))


def train(folder, checkpoint=None, interval=3):
    for singleton in (MMLogger, MessageHub, Visualizer):
        singleton._instance_dict.clear()
    data, model = Numbers(), Model()
    runner = Runner(
        model=model,
        work_dir=str(folder),
        train_dataloader=dict(
            dataset=data,
            batch_size=2,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=True),
            collate_fn=collate,
        ),
        train_cfg=dict(type=ResumableTrainLoop, max_epochs=2),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        default_hooks=dict(
            checkpoint=dict(
                type='mmxpl.AtomicCheckpointHook', by_epoch=False, interval=interval
            )
        ),
        randomness=dict(seed=5),
        experiment_name=f'{folder.name}{checkpoint}',
        log_level='ERROR',
        load_from=checkpoint and str(checkpoint),
        resume=checkpoint is not None,
    )
    return runner, data, model


@pytest.mark.parametrize('interval', [1, 3, 4])
def test_a_sampler_that_cannot_skip_is_read_past(tmp_path, interval):
    import mmxpl.engine  # noqa: F401  registers the hook

    runner, data, whole = train(tmp_path / 'whole', interval=interval)
    runner.train()
    checkpoint = tmp_path / 'whole' / f'iter_{interval}.pth'
    runner, data, resumed = train(tmp_path / 'resumed', checkpoint)
    runner.train()
    # the same clips, and the same random numbers of the data set and the model
    assert resumed.seen == whole.seen[interval:]
    assert torch.equal(resumed.weight, whole.weight)


def test_a_checkpoint_that_does_not_fit_the_epochs_is_refused(tmp_path):
    runner, *_ = train(tmp_path)
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    runner.train_loop._iter = 9
    with pytest.raises(DataError, match='iteration 9 in epoch 1.*epochs of 4'):
        runner.train_loop.run_epoch()


def test_the_death_of_a_worker_is_one_clear_error(tmp_path, monkeypatch):
    runner, *_ = train(tmp_path)
    loop = runner.build_train_loop(runner._train_loop)
    text = 'DataLoader worker (pid 7) is killed by signal: Killed. '
    monkeypatch.setattr(loop, '_run', lambda: (_ for _ in ()).throw(RuntimeError(text)))
    with pytest.raises(DataError, match='worker .pid 7. is killed.*num_workers'):
        loop.run()
    monkeypatch.setattr(
        loop, '_run', lambda: (_ for _ in ()).throw(RuntimeError('other'))
    )
    with pytest.raises(RuntimeError, match='other'):
        loop.run()


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (dict(max_epochs=0), r'train_cfg\.max_epochs .* 1 or more, got 0'),
        (dict(max_epochs=-2, warmup_epochs=0.5), r'train_cfg\.max_epochs .* got -2'),
        (dict(max_epochs=2, val_interval=0), r'train_cfg\.val_interval .* got 0'),
    ],
)
def test_a_wrong_number_of_epochs_is_named(settings, words):
    with pytest.raises(DataError, match=words):
        ResumableTrainLoop(None, None, **settings)
