from types import SimpleNamespace

import pytest
from mmengine.hooks import CheckpointHook

from mmxpl.engine.hooks import RunStateHook
from mmxpl.engine.run_state import compare_runs, describe_run
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
