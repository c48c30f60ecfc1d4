"""Checkpoints that are damaged, and disks that are full."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def killed(train, whole_run, tmp_path_factory):
    """A folder with epoch_1.pth and epoch_2.pth."""
    work_dir = tmp_path_factory.mktemp('killed')
    moment = whole_run()[0].moment('step', iter=9)
    assert train(work_dir, fault=('kill', moment)).code == -9
    return work_dir


@pytest.fixture
def interrupted(killed, whole_run, tmp_path):
    """A copy of that folder, and its uninterrupted twin."""
    return shutil.copytree(killed, tmp_path / 'interrupted'), *whole_run()


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1000])


def empty(path):
    path.write_bytes(b'')


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize('damage', [truncate, empty, flip])
def test_a_damaged_checkpoint_is_left_out(
    train, interrupted, same_results, fault, damage
):
    fault(f'newest checkpoint damaged, {damage.__name__}')
    work_dir, whole, folder = interrupted
    damage(work_dir / 'epoch_2.pth')
    elsewhere = {p: p.stat().st_mtime_ns for p in folder.rglob('*')}
    resumed = train(work_dir, resume=True)
    assert resumed.code == 0, resumed.text
    assert elsewhere == {p: p.stat().st_mtime_ns for p in folder.rglob('*')}
    (warning,) = (w for w in resumed.text.splitlines() if 'is damaged' in w)
    assert 'epoch_2.pth' in warning
    assert 'epoch_1.pth' in warning
    assert resumed.iterations == list(range(4, 12))
    same_results(whole, resumed, (folder, work_dir))


@pytest.mark.parametrize('content', ['', 'gone.pth', 'epoch_1.pth'])
def test_the_pointer_does_not_count(train, interrupted, same_results, fault, content):
    fault(f"last_checkpoint wrong, '{content}'")
    work_dir, whole, folder = interrupted
    (work_dir / 'last_checkpoint').write_text(content)
    resumed = train(work_dir, resume=True)
    assert resumed.code == 0, resumed.text
    assert 'epoch_2.pth' in resumed.text
    assert resumed.iterations == list(range(8, 12))
    same_results(whole, resumed, (folder, work_dir))


def test_file_times_do_not_count(train, interrupted, same_results, fault):
    fault('file times reversed; clock set back; another time zone')
    work_dir, whole, folder = interrupted
    os.utime(work_dir / 'epoch_2.pth', (1e9, 1e9))
    resumed = train(
        work_dir, resume=True, fault=('clock', 1), env={'TZ': 'Pacific/Kiritimati'}
    )
    assert resumed.code == 0, resumed.text
    assert resumed.iterations == list(range(8, 12))
    same_results(whole, resumed, (folder, work_dir))


def test_with_no_whole_checkpoint_nothing_is_started(train, interrupted, fault):
    fault('all checkpoints damaged')
    work_dir, *_ = interrupted
    for path in work_dir.glob('epoch_*.pth'):
        truncate(path)
    message = train(work_dir, resume=True).message
    assert 'epoch_1.pth' in message
    assert 'epoch_2.pth' in message
    assert 'Remove them to start from the beginning' in message


def test_an_older_run_in_the_folder_does_not_count(train, whole_run, tmp_path, fault):
    fault('checkpoints of a longer former run beside those of this one')
    whole, folder = whole_run()
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    assert train(tmp_path, fault=('kill', whole.moment('step', iter=5))).code == -9
    resumed = train(tmp_path, resume=True)
    assert resumed.code == 0, resumed.text
    assert resumed.iterations == list(range(4, 12))


def test_going_back_to_an_older_checkpoint_counts_from_then_on(
    train, interrupted, fault
):
    fault('resumed from an older checkpoint and then killed')
    work_dir, whole, _ = interrupted
    older = shutil.copy(work_dir / 'epoch_1.pth', work_dir.parent / 'older.pth')
    # the first two events are the validation that is made up for
    stopped = train(work_dir, resume=older, fault=('SIGTERM', 3))
    assert stopped.code == os.EX_TEMPFAIL
    assert stopped.iterations == [4]
    assert train(work_dir, resume=True, fault=('kill', 2)).iterations == [5]


def writings(run, number):
    """Moments of the writing of the n-th checkpoint that is written."""
    moments, epoch = [], None
    for name, count, facts in run.events:
        if name == 'step':
            epoch = facts['epoch']
        elif name == 'writing' and epoch == number:
            moments.append(count)
    return moments


@pytest.mark.parametrize('place', [1, 3])
def test_a_full_disk(train, whole_run, same_results, tmp_path, fault, place):
    fault('disk full, while a checkpoint is written')
    whole, folder = whole_run()
    moment = writings(whole, 1)[place]
    message = train(tmp_path, fault=('enospc', moment)).message
    assert os.strerror(28) in message
    assert str(tmp_path) in message
    assert f"last good checkpoint is '{tmp_path}/epoch_1.pth'" in message
    assert not list(tmp_path.glob('.*.tmp'))
    resumed = train(tmp_path, resume=True)
    assert resumed.code == 0, resumed.text
    same_results(whole, resumed, (folder, tmp_path))


def test_a_full_disk_while_publishing(train, whole_run, same_results, tmp_path, fault):
    fault('disk full, while the model is published')
    whole, folder = whole_run()
    message = train(tmp_path, fault=('enospc', writings(whole, 2)[-2])).message
    assert "last good checkpoint is '" in message
    resumed = train(tmp_path, resume=True)
    assert resumed.code == 0, resumed.text
    same_results(whole, resumed, (folder, tmp_path))


def test_a_limit_of_the_system(train, tmp_path, fault):
    fault('file size limit of the system (RLIMIT_FSIZE)')
    message = train(tmp_path, max_file_size=100_000).message
    assert os.strerror(27) in message
    assert 'No checkpoint was written yet' in message
    assert not list(tmp_path.glob('.*.tmp'))
    assert not list(tmp_path.glob('*.pth'))
    assert Path(tmp_path, '.train.lock').exists()


@pytest.fixture
def small_drive(tmp_path):
    """A drive of 900 kB, and a function that enlarges it."""
    folder = tmp_path / 'drive'
    folder.mkdir()

    def mount(options):
        command = ['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', str(folder)]
        return subprocess.run(command, capture_output=True).returncode == 0

    if not shutil.which('mount') or not mount('size=900k'):
        pytest.skip('a drive can be mounted by a super-user alone')
    yield folder, lambda: mount('remount,size=50m')
    subprocess.run(['umount', '--lazy', str(folder)], check=True)


def test_a_drive_that_is_really_full(
    train, whole_run, same_results, small_drive, fault
):
    fault('disk full, a real drive of 900 kB')
    whole, folder = whole_run()
    work_dir, enlarge = small_drive
    message = train(work_dir).message
    assert os.strerror(28) in message
    assert 'last good checkpoint is' in message
    assert not list(work_dir.glob('.*.tmp'))
    assert enlarge()
    resumed = train(work_dir, resume=True)
    assert resumed.code == 0, resumed.text
    assert resumed.iterations[0] > 0
    same_results(whole, resumed, (folder, work_dir))
