from types import SimpleNamespace

import pytest
from mmengine.config import Config
from mmengine.hooks import CheckpointHook

from mmxpl.engine import RunStateHook
from mmxpl.engine.resume.run_state import (
    compare_runs,
    compare_settings,
    describe_run,
)
from mmxpl.utils import DataError


def part(*ids):
    return SimpleNamespace(sample_ids=list(ids))


class Labeled(SimpleNamespace):
    """A set of one clip with a box."""

    labeled, sample_ids = True, ['a']

    def __len__(self):
        return 1

    def get_data_info(self, index):
        return dict(sample_id='a', bboxes=[self.box])


class Loader(SimpleNamespace):
    """What is looked at of a data loader."""

    def __len__(self):
        return self.batches


def describe(world_size=1, labeled=2, unlabeled=2, seed=0, parts=None, batches=4):
    sampler = SimpleNamespace(
        seed=seed, labeled_per_batch=labeled, unlabeled_per_batch=unlabeled
    )
    loader = Loader(
        sampler=sampler,
        dataset=SimpleNamespace(datasets=parts or [part('a'), part('b', 'c')]),
        batch_size=labeled + unlabeled,
        batches=batches,
    )
    return describe_run(loader, world_size)


def test_the_same_run_passes_in_silence():
    assert compare_runs(describe(), describe()) is None


def test_ranks_that_share_the_batch_are_converted():
    message = compare_runs(describe(), describe(2, labeled=1, unlabeled=1))
    assert 'with 1 processes and goes on with 2' in message


@pytest.mark.parametrize(
    ('now', 'words'),
    [
        (dict(seed=1), 'seed is 0, this one 1: set randomness.seed=0'),
        (dict(world_size=2), 'these 4: with 2 processes set labeled_per_batch=1'),
        (dict(world_size=3), 'cannot be divided evenly'),
        (dict(labeled=1), 'hold 2 clips by labeled_per_batch, these 1'),
        (dict(batches=5), 'epochs have 4 batches, these 5'),
        (dict(parts=[part('a'), part('c', 'b')]), 'its unlabeled clips are others'),
        (dict(parts=[part('x'), part('b', 'c')]), 'its labeled clips are others'),
        (dict(parts=[Labeled(box=[0, 0, 1, 1]), part('b', 'c')]), 'other boxes'),
        (dict(parts=[part('a')]), 'trained on 2 data sets, here are 1'),
    ],
)
def test_another_run_is_refused_with_the_remedy(now, words):
    before = dict(parts=[Labeled(box=[0, 0, 1, 0.5]), part('b', 'c')])
    with pytest.raises(DataError) as caught:
        compare_runs(describe(**before if 'boxes' in words else {}), describe(**now))
    assert words in str(caught.value)
    assert 'load_from' in str(caught.value)


@pytest.mark.parametrize(
    ('counts', 'checkpoint', 'words'),
    [
        (1, dict(by_epoch=False, interval=3), []),
        (2, dict(by_epoch=True, interval=1), []),
        (2, dict(by_epoch=False, interval=4), []),
        (2, dict(by_epoch=False, interval=3), ['3 iterations between two checkp']),
        (3, dict(by_epoch=True, interval=1), ['4 iterations of an epoch']),
        (3, dict(by_epoch=False, interval=2), ['4 iterations of', '2 iterations be']),
    ],
)
def test_gradients_that_a_checkpoint_does_not_hold_are_told(counts, checkpoint, words):
    said = []
    runner = SimpleNamespace(
        optim_wrapper=SimpleNamespace(_accumulative_counts=counts),
        train_dataloader=Loader(batches=4),
        hooks=[CheckpointHook(**checkpoint)],
        logger=SimpleNamespace(warning=said.append),
    )
    RunStateHook._warn_of_accumulation(runner)
    assert len(said) == len(words)
    for line, word in zip(said, words, strict=True):
        assert word in line


def config(**changes):
    cfg = Config(
        dict(
            work_dir='here',
            model=dict(type='XPL', loss_pseudo=dict(loss_weight=2.0)),
            optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='A', lr=0.1)),
            param_scheduler=[dict(type='CosineAnnealingLR', T_max=3)],
            train_cfg=dict(max_epochs=3),
            train_dataloader=dict(
                num_workers=1,
                dataset=dict(
                    data_root='data',
                    pipeline=[dict(type='Load'), dict(type='Draw', source='union')],
                ),
            ),
            custom_hooks=[
                dict(type='Labels', exchange='cross', momentum=0.9, sizes=(1, 2)),
                dict(type='Other'),
            ],
        )
    )
    cfg.merge_from_dict({k.replace('__', '.'): v for k, v in changes.items()})
    return cfg


def test_the_same_settings_are_not_spoken_of():
    assert compare_settings(config(), config()) == []
    # another place or speed is no other training
    now = config(
        work_dir='there',
        train_dataloader__num_workers=4,
        train_dataloader__dataset__data_root='moved',
    )
    assert compare_settings(config(), now) == []


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (dict(custom_hooks__0__exchange='self'), "Labels.exchange 'cross' -> 'self'"),
        (dict(custom_hooks__0__momentum=0.5), 'Labels.momentum 0.9 -> 0.5'),
        (
            dict(train_dataloader__dataset__pipeline__1__source='consensus'),
            "Draw.source 'union' -> 'consensus'",
        ),
        (dict(optim_wrapper__type='AmpOptimWrapper'), "-> 'AmpOptimWrapper'"),
        (dict(model__loss_pseudo__loss_weight=1.0), 'loss_weight 2.0 -> 1.0'),
    ],
)
def test_what_is_done_otherwise_from_here_on_is_told(change, words):
    (line,) = compare_settings(config(), config(**change))
    assert words in line
    assert 'was started with other settings' in line
    assert '\n' not in line


@pytest.mark.parametrize(
    'change',
    [dict(optim_wrapper__optimizer__lr=0.5), dict(param_scheduler__0__T_max=9)],
)
def test_what_the_checkpoint_overrides_is_told(change):
    (line,) = compare_settings(config(), config(**change))
    assert line.startswith('Without effect in a resumed run')
    assert next(iter(change)).rsplit('__')[-1] in line


def test_another_number_of_epochs_is_told():
    (line,) = compare_settings(config(), config(train_cfg__max_epochs=9))
    assert line.startswith('train_cfg.max_epochs 3 -> 9: the curriculum')
    assert 'warm-up' in line


def test_of_many_changes_the_first_are_named():
    now = config()
    now.model = dict({f'k{n}': n for n in range(9)}, type='XPL')
    (line,) = compare_settings(config(), now)
    assert ', and 4 more' in line
