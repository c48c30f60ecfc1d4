import errno
import fcntl
import os

import numpy as np
import pytest

from mmxpl.utils import files
from mmxpl.utils.errors import DataError
from mmxpl.utils.files import (
    files_below,
    locked,
    remove_drafts,
    write_array,
    write_atomically,
    write_result,
)


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / 'file'
    write_atomically(path, b'old')
    write_atomically(path, b'new')
    assert path.read_bytes() == b'new'
    assert [p.name for p in tmp_path.iterdir()] == ['file']


@pytest.mark.parametrize('call', ['fsync', 'replace'])
def test_a_failure_leaves_the_former_file(tmp_path, monkeypatch, call):
    path = tmp_path / 'file'
    write_atomically(path, b'old')

    def fail(*args):
        raise OSError(errno.ENOSPC, 'full')

    monkeypatch.setattr(files.os, call, fail)
    with pytest.raises(OSError, match='full'):
        write_atomically(path, b'new')
    assert path.read_bytes() == b'old'
    assert [p.name for p in tmp_path.iterdir()] == ['file']


def test_drafts_of_killed_writers_are_removed(tmp_path):
    for name in ('.epoch_1.pth.tmp', 'epoch_1.pth', '.hidden', 'own.tmp'):
        (tmp_path / name).touch()
    remove_drafts(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        '.hidden',
        'epoch_1.pth',
        'own.tmp',
    ]


def test_a_result_is_whole_or_not_there(tmp_path, monkeypatch):
    path = tmp_path / 'new' / 'file.txt'
    write_result(path, 'ä')
    assert path.read_bytes() == 'ä'.encode()

    def fail(*args):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(files.os, 'replace', fail)
    with pytest.raises(DataError, match=r'b\.npy: cannot be written \(No space'):
        write_array(path.with_name('b.npy'), np.zeros(3))
    assert [p.name for p in path.parent.iterdir()] == ['file.txt']
    (tmp_path / 'file').touch()
    with pytest.raises(DataError, match=r'a\.txt: cannot be written \(Not a dir'):
        write_result(tmp_path / 'file' / 'deep' / 'a.txt', b'')


def test_one_process_at_a_time_holds_a_lock(tmp_path, monkeypatch, capsys):
    path = tmp_path / '.lock'
    refused = pytest.raises(DataError, match=r'^is in use\.$')
    with locked(path, 'x'), refused, locked(path, 'is in use.'):
        pytest.fail('two hold it')
    assert not path.exists()
    path.touch()  # of a killed process
    with locked(path, 'x'):
        pass

    # its holder ends, and removes it, between the opening and the locking
    monkeypatch.setattr(fcntl, 'flock', lambda *args: path.unlink())
    with refused, locked(path, 'is in use.'):
        pytest.fail('another may lock a new file')

    def fail(*args):
        raise OSError(errno.ENOLCK, 'no locks')

    monkeypatch.setattr(fcntl, 'flock', fail)
    with locked(path, 'x'):
        assert 'this drive has no locks' in capsys.readouterr().err


def test_pipes_and_links_are_written_to_and_stay(tmp_path):
    pipe, link = tmp_path / 'pipe', tmp_path / 'link'
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_result(pipe, 'text')
    assert os.read(reader, 9) == b'text'
    os.close(reader)
    assert pipe.is_fifo()
    link.symlink_to(tmp_path / 'file')
    write_result(link, 'text')
    assert link.is_symlink()
    assert (tmp_path / 'file').read_text() == 'text'


def test_two_processes_may_write_the_same_file(tmp_path, monkeypatch):
    path = tmp_path / 'file'
    replace = os.replace

    def replace_late(*args):
        monkeypatch.setattr(os, 'replace', replace)
        monkeypatch.setattr(os, 'getpid', lambda: 0)
        write_result(path, 'of another process')
        replace(*args)

    monkeypatch.setattr(os, 'replace', replace_late)
    write_result(path, 'own')
    assert path.read_text() == 'own'
    assert os.listdir(tmp_path) == ['file']


def test_files_in_linked_folders_are_found_once(tmp_path):
    top, other = tmp_path / 'top', tmp_path / 'other'
    for folder in (top / 'inner', other):
        folder.mkdir(parents=True)
        (folder / 'a').touch()
    (top / 'linked').symlink_to(other)
    (other / 'back').symlink_to(top)
    (top / 'gone').symlink_to('nowhere')
    (top / 'alias').symlink_to('inner')  # sorted before the folder itself
    (top / 'a').mkdir()
    (top / 'a' / 'deep').symlink_to('../inner')
    names = [path.relative_to(top).as_posix() for path in files_below(top)]
    assert names == ['gone', 'inner/a', 'linked/a']
