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


def test_a_former_best_goes_with_its_published_copy(tmp_path):
    names = ['best_x_2.pth', 'best_x_2-0a1b2c3d.pth', 'best_x_22-0a1b2c3d.pth']
    for name in names:
        (tmp_path / name).touch()
    later = DeferredRemoval()
    later.remove(str(tmp_path / names[0]))
    later.carry_out()
    assert [path.name for path in tmp_path.iterdir()] == [names[2]]
