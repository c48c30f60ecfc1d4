from mmengine.fileio import get_file_backend

from mmxpl.engine.resume.checkpoint_hook import DeferredRemoval
from mmxpl.utils.files import write_atomically


def test_mmengine_writes_through_the_backend(tmp_path):
    backend = get_file_backend(str(tmp_path), backend_args=dict(backend='atomic_local'))
    backend.put(b'content', str(tmp_path / 'new' / 'file'))
    assert (tmp_path / 'new' / 'file').read_bytes() == b'content'


def test_removals_are_put_off(tmp_path):
    old, replaced, gone = (tmp_path / name for name in ('old', 'replaced', 'gone'))
    later = DeferredRemoval()
    for path in (old, replaced, gone):
        path.touch()
        later.remove(str(path))
    assert later.isfile(str(old))
    gone.unlink()
    write_atomically(replaced, b'new')
    later.carry_out()
    assert [p.name for p in tmp_path.iterdir()] == ['replaced']
