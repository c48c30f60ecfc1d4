import errno
import fcntl
import multiprocessing
import os

import pytest
import torch

from mmxpl.engine.resume.work_dir import (
    LOCK_FILE,
    find_newest,
    lock_work_dir,
    named_files,
    number_run,
)
from mmxpl.pseudo_labels.bank_file import copy_file, copy_name
from mmxpl.utils import DataError
from mmxpl.utils.files import draft_of


def write(path, run, iteration, **meta):
    meta = dict(meta, run=run, iter=iteration, epoch=iteration // 4)
    torch.save(dict(state_dict={}, optimizer={}, meta=meta), path)
    return path


def test_run_and_iteration_decide(tmp_path):
    write(tmp_path / 'epoch_9.pth', run=1, iteration=36)
    write(tmp_path / 'epoch_2.pth', run=2, iteration=8)
    newest = write(tmp_path / 'a.pth', run=2, iteration=9)
    assert find_newest(tmp_path) == (newest, [])


def test_validated_counts_as_later(tmp_path):
    write(tmp_path / 'a.pth', run=1, iteration=8, validated=False)
    newest = write(tmp_path / 'b.pth', run=1, iteration=8, validated=True)
    assert find_newest(tmp_path)[0] == newest


def test_weights_alone_are_no_checkpoint_to_resume_from(tmp_path):
    torch.save(dict(state_dict={}, meta={}), tmp_path / 'best.pth')
    assert find_newest(tmp_path) == (None, [])


def test_damaged_files_are_told(tmp_path):
    older = write(tmp_path / 'a.pth', run=1, iteration=1)
    cut = write(tmp_path / 'b.pth', run=1, iteration=2)
    cut.write_bytes(cut.read_bytes()[:-30])
    assert find_newest(tmp_path) == (older, [cut])
    older.write_bytes(b'')
    with pytest.raises(DataError, match=r'a\.pth.*b\.pth'):
        find_newest(tmp_path)


def test_runs_are_numbered(tmp_path):
    assert number_run(tmp_path, None, 0) == 1
    write(tmp_path / 'a.pth', run=3, iteration=8)
    assert number_run(tmp_path, None, 0) == 4
    assert number_run(tmp_path, 3, 8) == 3  # goes on from the newest
    assert number_run(tmp_path, 3, 4) == 4  # goes back


@pytest.mark.parametrize(
    'content', [b'', b'not a checkpoint', b'PK\x03\x04', bytes(500), b'\x80\x02.']
)
def test_whatever_is_called_pth_may_lie_there(tmp_path, content):
    whole = write(tmp_path / 'a.pth', run=1, iteration=1)
    other = tmp_path / 'b.pth'
    other.write_bytes(content)
    assert find_newest(tmp_path) == (whole, [other])
    torch.save(dict(optimizer={}, meta=dict(epoch=3)), other)  # has no position
    assert find_newest(tmp_path) == (whole, [other])


def test_no_flipped_bit_hides_an_older_checkpoint(tmp_path):
    """A bit here and there: the newest is taken as it was, or left out."""
    older = write(tmp_path / 'a.pth', run=1, iteration=1)
    newest = write(tmp_path / 'b.pth', run=1, iteration=2)
    content = newest.read_bytes()
    left_out = 0
    for place in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        newest.write_bytes(damaged)
        choice = find_newest(tmp_path)
        assert choice in ((newest, []), (older, [newest]), (older, []))
        if choice == (newest, []):
            assert torch.load(newest)['meta']['iter'] == 2
        left_out += choice[0] == older
    assert left_out > 20


def test_what_belongs_to_a_checkpoint_must_be_whole(tmp_path):
    copy = tmp_path / 'copy.bin'
    source = tmp_path / 'source'
    source.write_bytes(b'labels')
    digest = copy_file(source, tmp_path)
    (tmp_path / copy_name(digest)).rename(copy)
    older = write(tmp_path / 'a.pth', run=1, iteration=1)
    newest = write(tmp_path / 'b.pth', run=1, iteration=2, files={'copy.bin': digest})
    assert find_newest(tmp_path) == (newest, [])
    assert named_files(tmp_path) == {'copy.bin'}
    copy.write_bytes(b'labelz')
    assert find_newest(tmp_path) == (older, [newest])


def test_the_draft_of_a_killed_writer_is_no_checkpoint(tmp_path):
    write(draft_of(tmp_path / 'epoch_1.pth'), run=1, iteration=4)
    assert find_newest(tmp_path) == (None, [])


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
