import errno
import fcntl
import multiprocessing
import os

import pytest

from mmxpl.engine.resume.work_dir_lock import LOCK_FILE, lock_work_dir
from mmxpl.utils import DataError


def try_lock(work_dir, answers):
    try:
        with lock_work_dir(work_dir):
            answers.put('taken')
    except DataError as error:
        answers.put(str(error))


def attempt(work_dir):
    """Tries from another process."""
    context = multiprocessing.get_context('fork')
    answers = context.Queue()
    process = context.Process(target=try_lock, args=(work_dir, answers))
    process.start()
    answer = answers.get(timeout=60)
    process.join()
    return answer


def test_a_second_process_is_refused_until_the_first_ends(tmp_path):
    with lock_work_dir(tmp_path / 'new'):
        answer = attempt(tmp_path / 'new')
        assert f'process {os.getpid()} on' in answer
        assert '--work-dir' in answer
    assert attempt(tmp_path / 'new') == 'taken'


def test_only_the_first_rank_locks(tmp_path, monkeypatch):
    monkeypatch.setenv('RANK', '1')
    with lock_work_dir(tmp_path):
        assert not (tmp_path / LOCK_FILE).exists()


def test_drives_without_locks_are_warned_of(tmp_path, monkeypatch, capsys):
    def fail(*args):
        raise OSError(errno.ENOLCK, 'no locks')

    monkeypatch.setattr(fcntl, 'lockf', fail)
    with lock_work_dir(tmp_path):
        pass
    assert 'drive without locks' in capsys.readouterr().err


def test_a_file_is_no_work_directory(tmp_path):
    (tmp_path / 'file').touch()
    for path in (tmp_path / 'file', tmp_path / 'file/inside'):
        with (
            pytest.raises(DataError, match=r'cannot be written .*another --work-dir'),
            lock_work_dir(path),
        ):
            pass
