import re
from types import SimpleNamespace

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner

from mmxpl.engine import AtomicCheckpointHook, EncoderInputHook, InvalidLossHook
from mmxpl.testing import tiny_batch
from mmxpl.utils import DataError, hash_ids

PIPELINE = [
    {'type': 'LoadFrame', 'size': 8},
    {'type': 'LoadAudio', 'sample_rate': 8000, 'duration': 0.1},
    {'type': 'RasterizeTargets', 'size': 8},
    {'type': 'PackAVInputs'},
]


class _Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return {'loss': self.weight**2} if mode == 'loss' else data_samples


def _runner(root, work_dir, labeled='train.txt', test='test.txt'):
    def dataset(**options):
        return {
            'type': 'VGGSSDataset',
            'data_root': str(root),
            'pipeline': PIPELINE,
            **options,
        }

    def loader(data):
        return {
            'dataset': data,
            'batch_size': 4,
            'num_workers': 0,
            'sampler': {'type': 'DefaultSampler', 'shuffle': False},
            'collate_fn': {'type': 'mmxpl.av_collate'},
        }

    train = [
        dataset(id_list=labeled, labeled=True, subset='labeled', fraction=0.25),
        dataset(id_list='train.txt', subset='unlabeled', fraction=0.25),
    ]
    return Runner(
        model=_Model(),
        work_dir=str(work_dir),
        train_dataloader=loader({'type': 'ConcatDataset', 'datasets': train}),
        train_cfg={'by_epoch': True, 'max_epochs': 1},
        optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 0.1}},
        test_dataloader=loader(dataset(id_list=test, labeled=True)),
        test_cfg={},
        test_evaluator={'type': 'mmengine.DumpResults', 'out_file_path': 'x.pkl'},
        custom_hooks=[{'type': 'DataLeakHook'}],
        default_scope='mmxpl',
        experiment_name=work_dir.name + str(id(work_dir)),
    )


@pytest.fixture(autouse=True)
def _hook():
    # registered by its module
    from mmxpl.engine.hooks import check_hooks  # noqa: F401


def test_clean_splits_train_and_are_logged(tiny_world, tmp_path):
    runner = _runner(tiny_world, tmp_path)
    runner.train()
    (log,) = tmp_path.glob('*/*.log')
    lines = re.findall(
        r'- (train|test)( \w+)? \(.*\): (\d+) clips.*hash (\w+)', log.read_text()
    )
    assert [(split + role, int(n)) for split, role, n, _ in lines] == [
        ('train labeled', 2),
        ('train unlabeled', 6),
        ('test', 2),
    ]
    assert lines[2][3] == hash_ids(['clip-10', 'clip-11'])


def test_test_media_need_not_be_there(spoilable_world, tmp_path):
    for name in ('clip-10', 'clip-11'):
        (spoilable_world / 'frames' / f'{name}.jpg').unlink()
    _runner(spoilable_world, tmp_path / 'work').train()


@pytest.mark.parametrize(
    ('lists', 'message'),
    [
        ({'test': 'train.txt'}, 'train labeled .*test .*share 2 ids'),
        ({'labeled': 'val.txt', 'test': 'val.txt'}, 'train labeled .*test .*clip-0'),
    ],
)
def test_leaks_stop_training_before_the_first_step(
    tiny_world, tmp_path, lists, message
):
    runner = _runner(tiny_world, tmp_path, **lists)
    with pytest.raises(DataError, match=message):
        runner.train()
    assert runner.iter == 0


@pytest.fixture
def runner():
    saver = AtomicCheckpointHook()
    saver.last_written = 'work_dirs/run/epoch_3.pth'
    return SimpleNamespace(iter=41, work_dir='work_dirs/run', hooks=[saver])


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_a_loss_that_is_no_number_stops_with_the_clips(runner, value):
    outputs = {'a.loss_pseudo': torch.tensor(value), 'loss': 1.0}
    with pytest.raises(DataError) as error:
        InvalidLossHook().after_train_iter(runner, 0, tiny_batch(1, 1), outputs)
    for word in ('Iteration 42', 'a.loss_pseudo', 'l0, u0', 'run/epoch_3.pth'):
        assert word in str(error.value)


def test_before_the_first_checkpoint_none_is_named(runner):
    runner.hooks[0].last_written = None
    outputs = {'loss': torch.tensor(float('nan'))}
    with pytest.raises(DataError, match='No checkpoint was written yet'):
        InvalidLossHook().after_train_iter(runner, 0, tiny_batch(1, 1), outputs)


def test_numbers_pass(runner):
    hook = InvalidLossHook()
    hook.after_train_iter(runner, 0, None, {'loss': torch.tensor(1.0)})
    weights = {'w': torch.zeros(2), 'steps': torch.tensor(3)}
    hook.before_save_checkpoint(runner, dict(state_dict=weights, meta=dict(iter=1)))


def test_weights_that_are_no_numbers_are_not_saved(runner):
    hook = InvalidLossHook()
    hook.after_train_iter(runner, 0, tiny_batch(1, 1), {'loss': torch.tensor(1.0)})
    weights = {'good': torch.zeros(2), 'bad': torch.tensor([0.0, float('nan')])}
    checkpoint = dict(state_dict=weights, optimizer={}, meta=dict(iter=42))
    with pytest.raises(DataError) as error:
        hook.before_save_checkpoint(runner, checkpoint)
    for word in (
        'Iteration 42',
        '1 tensors, such as state_dict.bad',
        'l0, u0',
        'epoch_3.pth',
    ):
        assert word in str(error.value)


def test_an_optimizer_that_holds_no_numbers_is_not_saved(runner):
    average = torch.tensor([0.0, float('inf')])
    checkpoint = dict(
        state_dict={},
        optimizer=dict(state={3: dict(exp_avg=average, step=torch.tensor(4.0))}),
        meta=dict(iter=42),
    )
    with pytest.raises(DataError, match=r'optimizer\.state\.3\.exp_avg'):
        InvalidLossHook().before_save_checkpoint(runner, checkpoint)


def test_other_sizes_and_lengths_than_the_training_s_are_warned_of():
    def loader(size, **audio):
        steps = [
            dict(type='LoadFrame', size=size),
            dict(type='LoadAudio', **audio),
        ]
        whole = dict(
            type='LoadFeatures', frame=dict(steps[0]), audio=dict(steps[1]), cache='x'
        )
        return dict(
            dataset=dict(datasets=[dict(pipeline=steps), dict(pipeline=[whole])])
        )

    lines = []
    cfg = dict(
        train_dataloader=loader(80, duration=3),
        val_dataloader=loader((80, 80)),  # the same, in other words
        test_dataloader=loader((80, 96), duration=2.0),
    )
    runner = SimpleNamespace(cfg=cfg, logger=SimpleNamespace(warning=lines.append))
    EncoderInputHook().before_run(runner)
    steps = ['0.size', '1.duration', '0.frame.size', '0.audio.duration']
    assert [line.split(' ')[0].split('pipeline.')[1] for line in lines] == steps
    assert lines[0] == (
        'test_dataloader.dataset.datasets.0.pipeline.0.size is (80, 96), but '
        'train_dataloader.dataset.datasets.1.pipeline.0.frame.size is (80, 80): the '
        'model is scored on another size than it learns. Set them equal, unless you '
        'mean it.'
    )
    lines.clear()
    cfg['test_dataloader'] = dict(type='LoadFrame')  # lacks a size, which is refused
    # without a training there is nothing to compare with
    del cfg['train_dataloader']
    EncoderInputHook().before_run(runner)
    assert not lines
