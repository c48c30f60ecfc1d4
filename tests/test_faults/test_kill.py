"""SIGKILL at any moment, and a resumed run that equals an uninterrupted one.

``make kills`` tries 100 moments over all set-ups, the daily tests 10 over two.
"""

import os
import random

import pytest

pytestmark = pytest.mark.slow

HOOK = 'default_hooks.pseudo_label'
# options, and the iterations between two checkpoints
SET_UPS = {
    'checkpoints every epoch': ((), 4),
    'checkpoints in mid-epoch': (
        (
            'default_hooks.checkpoint.by_epoch=False',
            'default_hooks.checkpoint.interval=3',  # of 4 iterations in an epoch
        ),
        3,
    ),
    'bank in a file': ((f'{HOOK}.bank_dir=$BANK',), 4),
    'bank in a file, in mid-epoch': (
        (
            f'{HOOK}.bank_dir=$BANK',
            'default_hooks.checkpoint.by_epoch=False',
            'default_hooks.checkpoint.interval=3',
        ),
        3,
    ),
    'teacher': ((f'{HOOK}.teacher_momentum=0.9',), 4),
    'labels of the training view': ((f'{HOOK}.view=train',), 4),
    'hard labels above a threshold': (
        (f'{HOOK}.soft=False', f'{HOOK}.min_confidence=0.3'),
        4,
    ),
    'mixed precision': (('optim_wrapper.type=AmpOptimWrapper',), 4),
    'accumulated gradients': (('optim_wrapper.accumulative_counts=2',), 4),
    'two processes': (
        (
            'train_dataloader.sampler.labeled_per_batch=1',
            'train_dataloader.sampler.unlabeled_per_batch=1',
        ),
        4,
    ),
}
SEEDS = int(os.environ.get('MMXPL_KILL_SEEDS', 10))
PHASES = ('warm-up', 'scoring pass', 'curriculum', 'writing', 'validation')


def phase_of(event):
    """The phase that an event belongs to, None if a run cannot end there."""
    name, _, facts = event
    if name == 'step':
        return 'curriculum' if facts['epoch'] else 'warm-up'
    return {'scoring': 'scoring pass', 'validated': None}.get(name, name)


@pytest.fixture(scope='session')
def bank(tmp_path_factory):
    return str(tmp_path_factory.mktemp('bank'))


@pytest.mark.parametrize('seed', range(SEEDS))
def test_a_killed_run_goes_on_exactly(
    train, whole_run, same_results, tmp_path, fault, bank, seed
):
    names = list(SET_UPS)
    name = names[seed // len(PHASES) % len(names)]
    phase = PHASES[seed % len(PHASES)]
    fault(f'SIGKILL, {phase}, {name}')
    options, interval = SET_UPS[name]
    options = tuple(option.replace('$BANK', bank) for option in options)
    ranks = 2 if name == 'two processes' else 1
    whole, folder = whole_run(options, ranks)
    # which of the processes is killed does not matter to what is on the disk
    moments = [event[1] for event in whole.events if phase_of(event) == phase]
    moment = random.Random(seed).choice(moments)
    killed = train(tmp_path, *options, ranks=ranks, struck=[0], fault=('kill', moment))
    assert killed.code == -9
    resumed = train(tmp_path, *options, ranks=ranks, resume=True)
    assert resumed.codes == [0] * ranks, resumed.text
    same_results(whole, resumed, (folder, tmp_path))
    # no more is done twice than what is between two checkpoints
    again = set(killed.iterations) & set(resumed.iterations)
    assert len(again) <= interval
