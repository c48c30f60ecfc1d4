import logging
from types import SimpleNamespace
from uuid import uuid4

import cv2
import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmengine.visualization import Visualizer
from torch.utils.data import Dataset

from mmxpl.engine.hooks import visualization_hook as module
from mmxpl.engine.hooks.visualization_hook import (
    LocalizationVisualizationHook,
    safe_name,
)
from mmxpl.registry import HOOKS
from mmxpl.structures import AVDataSample
from mmxpl.utils import DataError
from mmxpl.visualization import AVLocVisualizer


class Frames(Dataset):
    """Samples of the tiny world, without sound."""

    def __init__(self, root):
        self.paths = sorted((root / 'frames').glob('*.jpg'))

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        path = self.paths[index]
        metainfo = {
            'sample_id': path.stem,
            'img_path': str(path),
            'img_shape': (32, 32),
        }
        sample = AVDataSample(metainfo=metainfo, gt_map=torch.ones(224, 224))
        return {'inputs': torch.ones(1), 'data_samples': sample}


class Guess(BaseModel):
    """Predicts the same map for everything."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        if mode == 'loss':
            return {'loss': self.weight**2}
        for sample in data_samples:
            prob = torch.full((1, 4, 4), 0.3)
            sample.pred_map = PixelData(a=prob, b=prob, ens=prob)
        return data_samples


class Count(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results.extend(data_samples)

    def compute_metrics(self, results):
        return {'count': len(results)}


def build_runner(world, work_dir, **hook):
    def loader(shuffle):
        return {
            'dataset': Frames(world),
            'batch_size': 5,
            'sampler': {'type': 'DefaultSampler', 'shuffle': shuffle},
        }

    return Runner(
        model=Guess(),
        work_dir=str(work_dir),
        train_dataloader=loader(True),
        val_dataloader=loader(False),
        test_dataloader=loader(False),
        train_cfg={'by_epoch': True, 'max_epochs': 2},
        val_cfg={},
        test_cfg={},
        val_evaluator=[Count()],
        test_evaluator=[Count()],
        optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 0.1}},
        default_hooks={
            'visualization': {'type': 'LocalizationVisualizationHook', **hook},
            'checkpoint': None,
        },
        visualizer={
            'type': 'AVLocVisualizer',
            'vis_backends': [{'type': 'LocalVisBackend'}],
        },
        default_scope='mmxpl',
        experiment_name=uuid4().hex,  # runners of one process share no visualizer
        log_level='WARNING',
    )


def names(folder, pattern='*.png'):
    return sorted(path.name for path in folder.rglob(pattern))


@pytest.fixture
def runner():
    """A stand-in that has what the hook uses."""
    return SimpleNamespace(
        visualizer=AVLocVisualizer(),
        logger=logging.getLogger('test'),
        _train_loop=None,
    )


def batches(world, sizes):
    dataset = Frames(world)
    samples = [dataset[i]['data_samples'] for i in range(len(dataset))]
    for size in sizes:
        batch, samples = samples[:size], samples[size:]
        yield Guess()(None, batch, mode='predict')


def run_test(hook, runner, world, sizes=(5, 5, 2)):
    hook.before_test_epoch(runner)
    for batch_idx, outputs in enumerate(batches(world, sizes)):
        hook.after_test_iter(runner, batch_idx, {}, outputs)
    hook.after_test_epoch(runner, {})


def test_test_of_a_runner_leaves_all_pictures_and_a_sheet(tiny_world, tmp_path):
    show_dir = tmp_path / 'pictures'
    runner = build_runner(
        tiny_world, tmp_path / 'work', enable=True, show_dir=str(show_dir), sheet_rows=3
    )
    runner.test()
    clips = [f'clip-{i:02d}.png' for i in range(12)]
    assert names(show_dir) == [*clips, 'contact_sheet.png']
    assert not names(tmp_path / 'work')  # nothing went to the backends
    row = cv2.imread(str(show_dir / 'clip-00.png'))
    sheet = cv2.imread(str(show_dir / 'contact_sheet.png'))
    assert 3 * len(row) < len(sheet) < 4 * len(row)
    assert (sheet[4 : 4 + len(row), 4:-4] == row).all()


def test_validation_shows_the_same_samples_after_every_epoch(tiny_world, tmp_path):
    runner = build_runner(
        tiny_world, tmp_path, enable=True, interval=3, max_backend_samples=2
    )
    runner.train()
    assert names(tmp_path) == [
        f'val_clip-{clip}_{epoch}.png' for clip in ('00', '03') for epoch in (1, 2)
    ]


def test_is_off_unless_enabled(tiny_world, tmp_path, runner):
    hook = HOOKS.build(
        {'type': 'LocalizationVisualizationHook', 'show_dir': str(tmp_path)}
    )
    run_test(hook, runner, tiny_world)
    assert not names(tmp_path)


@pytest.mark.parametrize('sizes', [(12,), (5, 5, 2), (1,) * 12])
def test_choice_does_not_depend_on_the_batch_size(tiny_world, tmp_path, runner, sizes):
    hook = LocalizationVisualizationHook(
        True, interval=4, max_samples=2, show_dir=str(tmp_path)
    )
    run_test(hook, runner, tiny_world, sizes)
    assert names(tmp_path, 'clip*') == ['clip-00.png', 'clip-04.png']


def test_processes_share_the_work(tiny_world, tmp_path, runner, monkeypatch):
    """Each of two processes sees every other sample and writes its own."""
    monkeypatch.setattr(module, 'get_world_size', lambda: 2)
    dataset = [s for batch in batches(tiny_world, (12,)) for s in batch]
    for rank in (0, 1):
        monkeypatch.setattr(module, 'get_rank', lambda rank=rank: rank)
        monkeypatch.setattr(module, 'is_main_process', lambda rank=rank: rank == 0)
        hook = LocalizationVisualizationHook(
            True, interval=3, max_samples=3, show_dir=str(tmp_path / str(rank))
        )
        hook.before_test_epoch(runner)
        hook.after_test_iter(runner, 0, {}, dataset[rank::2])
        hook.after_test_epoch(runner, {})
    assert names(tmp_path / '0') == ['clip-00.png', 'clip-06.png', 'contact_sheet.png']
    assert names(tmp_path / '1') == ['clip-03.png']


def test_a_second_test_starts_anew(tiny_world, tmp_path, runner, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hook = LocalizationVisualizationHook(True, max_samples=1, show_dir='shown')
    run_test(hook, runner, tiny_world)
    (tmp_path / 'shown' / 'clip-00.png').unlink()
    (tmp_path / 'elsewhere').mkdir()
    monkeypatch.chdir(tmp_path / 'elsewhere')
    run_test(hook, runner, tiny_world)
    # the folder was settled when the hook was made
    assert names(tmp_path / 'shown') == ['clip-00.png', 'contact_sheet.png']


def test_test_without_a_folder_uses_the_backends(tiny_world, tmp_path, runner):
    runner.visualizer = AVLocVisualizer(
        vis_backends=[{'type': 'LocalVisBackend'}], save_dir=str(tmp_path)
    )
    run_test(LocalizationVisualizationHook(True, interval=5), runner, tiny_world)
    assert names(tmp_path) == [f'test_clip-{i:02d}_0.png' for i in (0, 5, 10)]


def test_a_frame_that_went_missing_is_named(tiny_world, tmp_path, runner):
    (outputs,) = batches(tiny_world, (1,))
    outputs[0].set_metainfo({'img_path': str(tmp_path / 'gone.jpg')})
    hook = LocalizationVisualizationHook(True, show_dir=str(tmp_path))
    hook.before_test_epoch(runner)
    with pytest.raises(DataError, match='gone.jpg'):
        hook.after_test_iter(runner, 0, {}, outputs)


def test_another_visualizer_is_refused_at_the_start(runner):
    runner.visualizer = Visualizer()
    LocalizationVisualizationHook(enable=False).before_run(runner)
    with pytest.raises(TypeError, match="type='AVLocVisualizer'"):
        LocalizationVisualizationHook(enable=True).before_run(runner)


def test_interval_must_be_positive():
    with pytest.raises(ValueError, match='interval must be positive'):
        LocalizationVisualizationHook(interval=0)


@pytest.mark.parametrize('name', ['clip-00', '-0BIyqJj9ZU_000030', 'été.1'])
def test_usable_ids_stay_as_they_are(name):
    assert safe_name(name) == name


def test_other_ids_become_distinct_file_names():
    ids = [
        'a/b',
        'a\\b',
        'a b',
        '../b',
        '..',
        '',
        'contact_sheet',
        'x' * 300,
        'x' * 301,
    ]
    made = [safe_name(sample_id) for sample_id in ids]
    assert len(set(made)) == len(ids)
    for name in made:
        assert not set(name) & set('/\\ :')
        assert not name.startswith('.')
        assert 0 < len(name) < 120
        assert name != 'contact_sheet'
