"""Pre-emption: save at the very iteration, exit with 75, go on exactly."""

import os

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ('place', 'phase', 'number', 'facts', 'expected'),
    [
        ('warm-up', 'step', 0, dict(iter=1), 2),
        ('scoring pass', 'scoring', 1, {}, 5),
        ('curriculum', 'step', 0, dict(iter=5), 6),
        ('last iteration of an epoch', 'step', 0, dict(iter=7), 8),
        ('validation', 'validation', 1, {}, 8),
    ],
)
def test_a_signal_saves_and_resumes_exactly(
    train,
    whole_run,
    same_results,
    tmp_path,
    fault,
    place,
    phase,
    number,
    facts,
    expected,
):
    fault(f'SIGTERM, {place}')
    whole, folder = whole_run()
    moment = whole.moment(phase, number, **facts)
    stopped = train(tmp_path, fault=('SIGTERM', moment))
    assert stopped.code == os.EX_TEMPFAIL, stopped.text
    assert f'SIGTERM: stopped at iteration {expected}' in stopped.text
    assert (tmp_path / 'last_checkpoint').read_text().endswith('preempted.pth')
    resumed = train(tmp_path, resume=True)
    assert resumed.code == 0, resumed.text
    assert resumed.iterations == list(range(expected, 12))
    same_results(whole, resumed, (folder, tmp_path))


@pytest.mark.parametrize(
    ('phase', 'facts', 'goes_on'),
    [('step', dict(iter=5), 6), ('scoring', {}, 5), ('calibration', {}, 4)],
)
def test_a_signal_to_the_data_workers_too(
    train, whole_run, same_results, tmp_path, fault, phase, facts, goes_on
):
    fault(f'SIGTERM to every process of the job, {phase}')
    whole, folder = whole_run()
    options = [
        f'{name}_dataloader.{key}'
        for name in ('train', 'val')
        for key in ('num_workers=1', 'persistent_workers=True')
    ]
    moment = whole.moment(phase, **facts)
    stopped = train(tmp_path, *options, fault=('SIGTERM to all', moment))
    assert stopped.code == os.EX_TEMPFAIL, stopped.text
    resumed = train(tmp_path, *options, resume=True)
    assert resumed.code == 0, resumed.text
    assert resumed.iterations[0] == goes_on, stopped.text
    same_results(whole, resumed, (folder, tmp_path))


def test_slurms_signal(train, whole_run, tmp_path, fault):
    fault('SIGUSR1, curriculum')
    moment = whole_run()[0].moment('step', iter=0)
    stopped = train(tmp_path, fault=('SIGUSR1', moment))
    assert stopped.code == os.EX_TEMPFAIL
    assert 'SIGUSR1: stopped at iteration 1' in stopped.text


# two ranks share the batch
SHARED = tuple(
    f'train_dataloader.{key}'
    for key in (
        'sampler.labeled_per_batch=1',
        'sampler.unlabeled_per_batch=1',
    )
)


@pytest.mark.parametrize(('kind', 'lost'), [('SIGSTOP', 1), ('kill', 1), ('kill', 0)])
def test_a_rank_that_is_lost_is_named(train, tmp_path, fault, kind, lost):
    fault(f'a rank of two is lost, {kind}')
    ended = train(
        tmp_path,
        *SHARED,
        'env_cfg.dist_cfg.timeout=8',
        ranks=2,
        struck=[lost],
        fault=(kind, 10),
        # rank 0 is waited for anyway; a stopped one would take all of it
        grace=0 if lost else 200,
    )
    assert ended.codes[1 - lost] == 2
    other = (ended.log / f'err{1 - lost}.txt').read_text()
    assert 'Traceback' not in other
    (line,) = [t for t in other.splitlines() if t.startswith('error: ')]
    assert f'Rank {1 - lost} has lost rank {lost} of 2' in line
    assert '--resume' in line


def test_ranks_agree_where_they_stop(train, same_results, tmp_path, fault):
    fault('SIGTERM to one rank of two')
    whole, stopped = tmp_path / 'whole', tmp_path / 'stopped'
    options = SHARED
    run = train(whole, *options, ranks=2)
    assert run.codes == [0, 0], run.text
    harmed = train(
        stopped,
        *options,
        ranks=2,
        struck=[1],
        fault=('SIGTERM', run.moment('step', rank=1, iter=8)),
    )
    # both looked at the tenth iteration
    assert harmed.codes == [os.EX_TEMPFAIL] * 2, harmed.text
    assert harmed.iterations == list(range(10))
    resumed = train(stopped, *options, ranks=2, resume=True)
    assert resumed.codes == [0, 0], resumed.text
    assert resumed.iterations == [10, 11]
    same_results(run, resumed, (whole, stopped))
