import logging
from types import SimpleNamespace

import pytest
import torch
from mmengine.fileio import FileClient, get_file_backend
from mmengine.logging import MessageHub, MMLogger
from mmengine.runner import save_checkpoint

from mmxpl.engine.resume.checkpoint_hook import AtomicCheckpointHook, DeferredRemoval
from mmxpl.utils.errors import DataError
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


def test_a_new_published_copy_replaces_former_ones(tmp_path):
    by_users = {'epoch_22-0a1b2c3d.pth', 'epoch_2-mine.pth', 'epoch_2-0a1b2c3d.pth'}
    for name in by_users:
        torch.save(dict(meta=dict(epoch=2), state_dict={}), tmp_path / name)
    path = tmp_path / 'epoch_2.pth'
    hook = AtomicCheckpointHook(published_keys=['meta', 'state_dict'])
    runner = SimpleNamespace(logger=logging.getLogger('x'))
    published = []
    for epoch in (1, 2):
        torch.save(dict(meta=dict(epoch=epoch), state_dict={}, optimizer={}), path)
        hook._publish_model(runner, str(path))
        names = {p.name for p in tmp_path.iterdir()}
        assert by_users < names
        (new,) = names - {path.name, *by_users}
        published.append(new)
    assert published[0] != published[1]
    state = torch.load(tmp_path / new)
    assert set(state) == {'meta', 'state_dict'}
    assert state['meta']['epoch'] == 2


def test_a_start_warns_of_nothing_that_users_cannot_change(tmp_path, logged):
    hook = AtomicCheckpointHook(max_keep_ckpts=2)
    logger = MMLogger.get_current_instance()
    runner = SimpleNamespace(
        work_dir=str(tmp_path),
        logger=logger,
        message_hub=MessageHub.get_instance('checkpoint_hook'),
        _resume=False,
        iter=0,
    )
    hook.before_train(runner)
    assert 'Checkpoints will be saved' in logged()
    save_checkpoint({}, str(tmp_path / 'x.pth'))
    assert 'FileClient' not in logged()
    hook.after_train(runner)
    FileClient()  # elsewhere it is still told
    assert '"FileClient" will be deprecated' in logged()


def test_a_former_best_goes_with_its_published_copy(tmp_path):
    by_users = {'best_x_2-0a1b2c3d.pth', 'best_x_22-0a1b2c3d.pth'}
    for name in by_users:
        (tmp_path / name).touch()
    path = tmp_path / 'best_x_2.pth'
    torch.save(dict(meta={}, state_dict={}), path)
    hook = AtomicCheckpointHook(published_keys=['meta', 'state_dict'])
    hook._publish_model(SimpleNamespace(logger=logging.getLogger('x')), str(path))
    assert len(list(tmp_path.iterdir())) == 4
    later = DeferredRemoval()
    later.remove(str(path))
    later.carry_out()
    assert {path.name for path in tmp_path.iterdir()} == by_users


def test_names_of_checkpoints_must_differ():
    with pytest.raises(ValueError, match=r"filename_tmpl 'last.pth' has no \{\}"):
        AtomicCheckpointHook(filename_tmpl='last.pth')
    assert AtomicCheckpointHook(filename_tmpl='{:03d}.pth').filename_tmpl


def test_without_a_best_score_no_best_is_saved():
    hook = AtomicCheckpointHook()
    hook._save_best_checkpoint(SimpleNamespace(hooks=[hook]), {'ens/AUC': 1.0})


def test_a_score_that_there_is_not_is_named_with_those_there_are():
    hook = AtomicCheckpointHook(save_best='ens/CIoU@0.5_adptive', rule='greater')
    hook.last_written = 'epoch_1.pth'
    runner = SimpleNamespace(hooks=[hook])
    scores = {'ens/CIoU@0.5_adaptive': 1.0, 'n_expected': 2.0}
    with pytest.raises(DataError, match='CIoU@0.5_adptive.*as ens/CIoU@0.5_adaptive'):
        hook._save_best_checkpoint(runner, scores)
