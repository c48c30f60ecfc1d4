"""Checkpoints of one run, resumed as another."""

import shutil

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def finished(whole_run, tmp_path):
    """A copy of a run that has ended, to be harmed."""
    return shutil.copytree(whole_run()[1], tmp_path / 'finished')


def files(folder):
    """Checkpoints, configs and all else in the folder itself."""
    return {
        p.name: p.read_bytes()
        for p in folder.iterdir()
        if p.is_file() and p.name[0] != '.'
    }


def loader(**settings):
    return [f'train_dataloader.{k.replace("__", ".")}={v}' for k, v in settings.items()]


MORE = 'train_cfg.max_epochs=4'


@pytest.mark.parametrize(
    ('what', 'options', 'ranks', 'words'),
    [
        ('seed', ['randomness.seed=1'], 1, ['seed is 0', 'set randomness.seed=0']),
        (
            'lists',
            ['train_dataloader.dataset.split_seed=1'],
            1,
            ['labeled clips are others', 'unlabeled clips are others'],
        ),
        (
            'batch composition',
            loader(sampler__labeled_per_batch=1, sampler__unlabeled_per_batch=3),
            1,
            ['hold 2 clips by labeled_per_batch, these 1', 'set labeled_per_batch=2'],
        ),
        ('number of batches', loader(sampler__num_batches=5), 1, ['epochs have 4']),
        (
            'number of processes',
            [],
            2,
            ['these 4: with 2 processes set labeled_per_batch=1'],
        ),
        (
            'map size',
            [f'model.localizers.{m}.visual_backbone.strides=(1,)' for m in 'ab'],
            1,
            ['(2, 6, 6)', '(2, 12, 12)', 'resume with the strides'],
        ),
        (
            'optimizer',
            ['optim_wrapper.optimizer.type=NAdam'],
            1,
            ['with another optimizer', 'momentum_decay'],
        ),
    ],
)
def test_another_run_is_refused(train, finished, fault, what, options, ranks, words):
    fault(f'resumed as another run, another {what}')
    before = files(finished)
    message = train(finished, MORE, *options, resume=True, ranks=ranks).message
    for word in words:
        assert word in message
    assert before == files(finished)


def test_other_processes_with_the_same_batches(train, finished, fault):
    fault('resumed otherwise, with two processes that share the batch')
    options = loader(sampler__labeled_per_batch=1, sampler__unlabeled_per_batch=1)
    resumed = train(finished, MORE, *options, resume=True, ranks=2)
    assert resumed.codes == [0, 0], resumed.text
    assert 'started with 1 processes and goes on with 2' in resumed.text
    assert resumed.iterations == list(range(12, 16))


def test_other_settings_are_told(train, finished, fault):
    fault('resumed otherwise, with other settings')
    hook = 'default_hooks.pseudo_label'
    resumed = train(
        finished,
        MORE,
        f'{hook}.exchange=self',
        f'{hook}.momentum=0.9',
        'optim_wrapper.optimizer.lr=0.1',
        resume=True,
    )
    assert resumed.code == 0, resumed.text
    warnings = [
        w for w in resumed.text.splitlines() if ' settings' in w or 'effect' in w
    ]
    assert len(warnings) == 2
    assert "pseudo_label.exchange 'cross' -> 'self'" in resumed.text
    assert 'Without effect in a resumed run' in resumed.text
    assert 'optim_wrapper.optimizer.lr' in resumed.text
