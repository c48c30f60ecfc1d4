"""What goes wrong while a run is going on."""

import os
import re
import shutil

import pytest

from mmxpl.engine.resume.work_dir import lock_work_dir

pytestmark = pytest.mark.slow

WORKERS = tuple(
    f'{name}_dataloader.{key}'
    for name in ('train', 'val')
    for key in ('num_workers=1', 'persistent_workers=True')
)


def test_a_loss_that_is_no_number(train, whole_run, tmp_path, fault):
    fault('NaN, in the loss')
    moment = whole_run()[0].moment('step', iter=2)
    message = train(tmp_path, fault=('nan', moment)).message
    assert re.search(r'Iteration 3: .*loss.* is nan', message)
    assert re.search(r'The batch was (clip-\d\d(, )?){4}\.', message)
    assert 'No checkpoint was written yet' in message


def test_labels_that_are_no_numbers(train, whole_run, same_results, tmp_path, fault):
    fault('NaN, in the pseudo-labels')
    whole, folder = whole_run()
    moment = whole.moment('step', iter=5)
    message = train(tmp_path, fault=('nan', moment)).message
    assert re.search(
        r'Maps of 2 clips are NaN or infinite: (clip-\d\d(, )?){2}', message
    )
    resumed = train(tmp_path, resume=True)
    same_results(whole, resumed, (folder, tmp_path))


def test_weights_that_are_no_numbers_are_not_saved(train, whole_run, tmp_path, fault):
    fault('NaN, in the weights before a checkpoint')
    whole = whole_run()[0]
    # after the last step of the second epoch
    moment = whole.moment('step', iter=7) + 1
    message = train(tmp_path, fault=('nan', moment)).message
    assert 'are not saved' in message
    assert f"last good checkpoint is '{tmp_path}/epoch_1.pth'" in message
    assert not (tmp_path / 'epoch_2.pth').exists()


def test_a_killed_data_worker(train, whole_run, same_results, tmp_path, fault):
    fault('data worker killed')
    whole, folder = whole_run()
    moment = whole.moment('step', iter=5)
    message = train(tmp_path, *WORKERS, fault=('kill worker', moment)).message
    # PyTorch's words depend on whether its signal handler or its queue is first
    assert re.search('is killed by signal: Killed|exited unexpectedly', message)
    assert 'a process that reads data was ended from outside' in message
    assert 'Lower num_workers' in message
    resumed = train(tmp_path, resume=True)
    assert resumed.code == 0, resumed.text
    same_results(whole, resumed, (folder, tmp_path))


def test_a_killed_run_leaves_no_lock(train, whole_run, same_results, tmp_path, fault):
    fault('SIGKILL, with data workers')
    whole, folder = whole_run()
    moment = whole.moment('step', iter=6)
    assert train(tmp_path, *WORKERS, fault=('kill', moment)).code == -9
    resumed = train(tmp_path, *WORKERS, resume=True)
    assert resumed.code == 0, resumed.text
    same_results(whole, resumed, (folder, tmp_path))


@pytest.mark.parametrize('workers', [(), WORKERS])
def test_a_clip_that_becomes_unreadable(
    train, whole_run, spoilable_world, tmp_path, fault, workers
):
    fault('clips become unreadable')
    moment = whole_run()[0].moment('step', iter=5)
    message = train(
        tmp_path / 'work',
        *workers,
        world=spoilable_world,
        fault=('remove frames', moment),
        env={'MMXPL_DATA_ROOT': str(spoilable_world)},
    ).message
    assert re.search(r'frames/clip-\d\d\.jpg', message)
    assert (tmp_path / 'work' / 'epoch_1.pth').exists()


def test_two_runs_in_one_folder(train, tmp_path, fault):
    fault('second run in the work directory')
    with lock_work_dir(tmp_path):
        message = train(tmp_path).message
        assert f'in use by process {os.getpid()} on ' in message
        assert '--work-dir' in message
        # it has not touched the other run's files
        assert [p.name for p in tmp_path.iterdir()] == ['.train.lock']


def test_language_and_place(train, spoilable_world, tmp_path, fault):
    fault('C locale and another time zone; ids that are not ASCII')
    root = spoilable_world.with_name('wörld')
    shutil.move(spoilable_world, root)
    for path in [*root.glob('*/clip-*')]:
        path.rename(path.with_name(path.name.replace('clip-', 'çlıp-')))
    for path in [*root.glob('*.txt'), *root.glob('*.json')]:
        text = path.read_text(encoding='utf-8')
        path.write_text(text.replace('clip-', 'çlıp-'), encoding='utf-8')
    done = train(
        tmp_path / 'wörk', world=root, locale='C', env={'TZ': 'Asia/Kathmandu'}
    )
    assert done.code == 0, done.text


def test_a_read_only_data_root(train, spoilable_world, tmp_path, fault):
    fault('read-only data root')
    paths = [spoilable_world, *spoilable_world.rglob('*')]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = [(p, p.stat().st_mtime_ns) for p in paths]
    try:
        done = train(tmp_path / 'work', world=spoilable_world)
        assert done.code == 0, done.text
        # modes do not bind a super-user; nothing was tried either
        after = [spoilable_world, *spoilable_world.rglob('*')]
        assert before == [(p, p.stat().st_mtime_ns) for p in after]
    finally:
        for path in paths:
            path.chmod(0o755 if path.is_dir() else 0o644)
