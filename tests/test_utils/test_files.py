import errno

import pytest
from mmengine.fileio import get_file_backend

from mmxpl.utils import files
from mmxpl.utils.files import RemoveLater, remove_drafts, write_atomically


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


def test_mmengine_writes_through_the_backend(tmp_path):
    backend = get_file_backend(str(tmp_path), backend_args=dict(backend='atomic_local'))
    backend.put(b'content', str(tmp_path / 'new' / 'file'))
    assert (tmp_path / 'new' / 'file').read_bytes() == b'content'


def test_removals_are_put_off(tmp_path):
    old, replaced, gone = (tmp_path / name for name in ('old', 'replaced', 'gone'))
    later = RemoveLater()
    for path in (old, replaced, gone):
        path.touch()
        later.remove(str(path))
    assert later.isfile(str(old))
    gone.unlink()
    write_atomically(replaced, b'new')
    later.carry_out()
    assert [p.name for p in tmp_path.iterdir()] == ['replaced']
