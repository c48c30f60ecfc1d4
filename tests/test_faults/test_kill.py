"""SIGKILL at any moment, and a resumed run that equals an uninterrupted one."""

import random

import pytest

pytestmark = pytest.mark.slow

EVERY_EPOCH = ()
IN_EPOCH = (
    'default_hooks.checkpoint.by_epoch=False',
    'default_hooks.checkpoint.interval=3',  # of 4 iterations in an epoch
)
PHASES = ('warm-up', 'scoring pass', 'curriculum', 'writing', 'validation')


def phase_of(event):
    """The phase that an event belongs to, None if a run cannot end there."""
    name, _, facts = event
    if name == 'step':
        return 'curriculum' if facts['epoch'] else 'warm-up'
    return {'scoring': 'scoring pass', 'validated': None}.get(name, name)


@pytest.mark.parametrize('seed', range(10))
def test_a_killed_run_goes_on_exactly(
    train, whole_run, same_results, tmp_path, fault, seed
):
    options = (EVERY_EPOCH, IN_EPOCH)[seed // len(PHASES)]
    phase = PHASES[seed % len(PHASES)]
    kind = 'checkpoints in mid-epoch' if options else 'checkpoints every epoch'
    fault(f'SIGKILL, {phase}, {kind}')
    whole, folder = whole_run(options)
    assert whole.code == 0, whole.text
    moments = [event[1] for event in whole.events if phase_of(event) == phase]
    moment = random.Random(seed).choice(moments)
    killed = train(tmp_path, *options, fault=('kill', moment))
    assert killed.code == -9
    resumed = train(tmp_path, *options, resume=True)
    assert resumed.code == 0, resumed.text
    same_results(whole, resumed, (folder, tmp_path))
    # no more is done twice than what is between two checkpoints
    again = set(killed.iterations) & set(resumed.iterations)
    assert len(again) <= (3 if options else 4)
