"""SIGKILL at any moment, and a resumed run that equals an uninterrupted one."""

import random

import pytest
import torch

pytestmark = pytest.mark.slow

EVERY_EPOCH = ()
IN_EPOCH = (
    'default_hooks.checkpoint.by_epoch=False',
    'default_hooks.checkpoint.interval=3',  # of 4 iterations in an epoch
)
PHASES = ('warm-up', 'scoring pass', 'curriculum', 'writing', 'validation')
# wall-clock time and names that hold it
FREE = {'time', 'data_time', 'experiment_name', 'cfg', 'last_ckpt', 'best_ckpt'}


def phase_of(event):
    """The phase that an event belongs to, None if a run cannot end there."""
    name, _, facts = event
    if name == 'step':
        return 'curriculum' if facts['epoch'] else 'warm-up'
    return {'scoring': 'scoring pass', 'validated': None}.get(name, name)


def same(one, other, path='', free=FREE):
    """Asserts that two nested values are equal bit for bit."""
    assert type(one) is type(other), path
    if isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for key in one:
            if str(key).split('/')[-1] not in free:
                same(one[key], other[key], f'{path}.{key}', free)
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), path
        for place, pair in enumerate(zip(one, other, strict=True)):
            same(*pair, f'{path}.{place}', free)
    elif isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype, path
        assert torch.equal(one, other), path
    elif type(one).__name__ == 'HistoryBuffer':
        assert [a.tolist() for a in one.data] == [a.tolist() for a in other.data], path
    else:
        assert one == other, path


def last_checkpoint(work_dir):
    name = (work_dir / 'last_checkpoint').read_text()
    return torch.load(name, weights_only=False)


def names(work_dir):
    """Checkpoints and what else is left, without what holds a fingerprint."""
    return sorted(
        path.name
        for path in work_dir.iterdir()
        if not path.is_dir() and '-' not in path.name
    )


def same_results(whole, resumed, folders):
    """Asserts that a resumed run ends as a whole one did."""
    one, other = map(last_checkpoint, folders)
    same(one, other)
    assert names(folders[0]) == names(folders[1])
    published = [sorted(f.glob('*-????????.pth')) for f in folders]
    assert len(published[0]) == 2
    stems = [{p.name.rsplit('-', 1)[0] for p in paths} for paths in published]
    assert stems[0] == stems[1]
    steps = [
        {f['iter']: f['random'] for name, _, f in run.events if 'random' in f}
        for run in (whole, resumed)
    ]
    assert {i: steps[0][i] for i in steps[1]} == steps[1]
    metrics = [
        {f['epoch']: f['metrics'] for name, _, f in run.events if 'metrics' in f}
        for run in (whole, resumed)
    ]
    assert metrics[0][3] == metrics[1][3]


@pytest.fixture(scope='module')
def reference(train, tmp_path_factory):
    """Uninterrupted runs, one for each way of writing checkpoints."""
    runs = {}

    def get(options):
        if options not in runs:
            folder = tmp_path_factory.mktemp('whole')
            runs[options] = (train(folder, *options), folder)
        return runs[options]

    return get


@pytest.mark.parametrize('seed', range(10))
def test_a_killed_run_goes_on_exactly(train, reference, tmp_path, fault, seed):
    options = (EVERY_EPOCH, IN_EPOCH)[seed // len(PHASES)]
    phase = PHASES[seed % len(PHASES)]
    kind = 'checkpoints in mid-epoch' if options else 'checkpoints every epoch'
    fault(f'SIGKILL, {phase}, {kind}')
    whole, folder = reference(options)
    assert whole.code == 0, whole.text
    moments = [event[1] for event in whole.events if phase_of(event) == phase]
    moment = random.Random(seed).choice(moments)
    killed = train(tmp_path, *options, fault=('kill', moment))
    assert killed.code == -9
    resumed = train(tmp_path, *options, resume=True)
    assert resumed.code == 0, resumed.text
    same_results(whole, resumed, (folder, tmp_path))
