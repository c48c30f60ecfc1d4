"""Trainings with pseudo-labels that are stopped and resumed."""

import gc
import os
import signal

import pytest
import torch
from mmengine.hooks import Hook

from mmxpl.engine.resume.work_dir import find_newest
from mmxpl.utils.checkpoint import read_checkpoint
from tests.test_engine.tiny_training import (
    NUM_UNLABELED,
    Watch,
    hook_of,
    make_runner,
)


@pytest.mark.parametrize(
    'settings', [dict(), dict(align_area=True), dict(teacher_momentum=0.8)]
)
def test_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path, settings):
    hook = dict(warmup_epochs=1, **settings)
    curriculum = dict(start=0.5, end=1.0)
    whole, part, rest = Watch(), Watch(), Watch()
    straight = make_runner(
        tmp_path / 'whole', hook, hooks=[whole], curriculum=curriculum
    )
    straight.train()
    make_runner(
        tmp_path / 'cut', hook, max_epochs=2, hooks=[part], curriculum=curriculum
    ).train()
    resumed = make_runner(
        tmp_path / 'cut', hook, hooks=[rest], curriculum=curriculum, resume=True
    )
    resumed.train()
    assert whole.losses == part.losses + rest.losses
    for one, other in zip(
        straight.model.state_dict().values(),
        resumed.model.state_dict().values(),
        strict=True,
    ):
        assert torch.equal(one, other)
    assert torch.equal(hook_of(straight).bank.labels, hook_of(resumed).bank.labels)
    assert torch.equal(hook_of(straight).bank.change, hook_of(resumed).bank.change)
    state = torch.load(tmp_path / 'whole/epoch_4.pth', weights_only=False)
    assert 'pseudo_label_bank' in state
    assert not any('bank' in key for key in state['state_dict'])
    assert ('teacher' in state) == ('teacher_momentum' in settings)
    if 'teacher' in state:
        teachers = [hook_of(r).labeler.state_dict() for r in (straight, resumed)]
        for name, weight in state['teacher'].items():
            assert torch.equal(weight, teachers[0]['teacher'][name]), name
            assert torch.equal(weight, teachers[1]['teacher'][name]), name
        assert state['state_dict'].keys() == state['teacher'].keys()
    (published,) = (tmp_path / 'whole').glob('epoch_4-*.pth')
    assert set(torch.load(published, weights_only=False)) == {'meta', 'state_dict'}


def test_a_bank_in_a_file_resumes_from_the_checkpoints_copy(tmp_path):
    """Though the file itself has moved on since."""
    hook = dict(warmup_epochs=1)
    straight = make_runner(tmp_path / 'whole', hook)
    straight.train()
    cut, mapped = tmp_path / 'cut', dict(hook, bank_dir=str(tmp_path / 'disk'))
    runner = make_runner(cut, mapped, max_epochs=3)
    (saver,) = (h for h in runner.hooks if type(h).__name__ == 'CheckpointHook')
    saver.interval = 1
    runner.train()
    del runner, saver
    states = [
        read_checkpoint(str(path))['pseudo_label_bank']
        for path in sorted(cut.glob('epoch_?.pth'))
    ]
    # none in the warm-up, then one for each checkpoint
    assert 'file' not in states[0]
    assert {p.name for p in cut.glob('*.bin')} == {s['file'] for s in states[1:]}
    assert len(states) == 3
    (cut / 'epoch_3.pth').unlink()
    (cut / 'last_checkpoint').write_text(str(cut / 'epoch_2.pth'))
    state = read_checkpoint(str(cut / 'epoch_2.pth'))['pseudo_label_bank']
    assert not any(isinstance(value, torch.Tensor) for value in state.values())
    gc.collect()  # the former run gives up its lock
    resumed = make_runner(cut, mapped, resume=True)
    resumed.train()
    for one, other in zip(
        straight.model.state_dict().values(),
        resumed.model.state_dict().values(),
        strict=True,
    ):
        assert torch.equal(one, other)
    bank, other = hook_of(straight).bank, hook_of(resumed).bank
    assert other.path.parent == tmp_path / 'disk'
    for name in ('labels', 'visits', 'change', 'scores'):
        assert torch.equal(getattr(bank, name), getattr(other, name)), name


class Stop(Hook):
    """Gets SIGTERM in an iteration."""

    def __init__(self, iteration):
        self.iteration = iteration

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.iteration:
            os.kill(os.getpid(), signal.SIGTERM)


def stop(tmp_path, hook, iteration):
    """Trains until SIGTERM comes in an iteration."""
    hooks = [dict(type='PreemptionHook'), Stop(iteration)]
    atomic = 'AtomicCheckpointHook'
    runner = make_runner(tmp_path, hook, hooks=hooks, checkpoint=atomic)
    (saver,) = (h for h in runner.hooks if type(h).__name__ == atomic)
    saver.interval = 1
    with pytest.raises(SystemExit) as end:
        runner.train()
    assert end.value.code == 75
    del runner, saver, hooks, end
    gc.collect()  # the run gives up its lock


def test_a_stop_right_after_an_epoch_leaves_the_epochs_copy_alone(tmp_path):
    hook = dict(warmup_epochs=1, bank_dir=str(tmp_path / 'disk'))
    stop(tmp_path, hook, iteration=4)  # the first of the third epoch
    # as if it had been killed before this one was whole
    (tmp_path / 'preempted.pth').unlink()
    resumed = make_runner(
        tmp_path, hook, resume=True, checkpoint='AtomicCheckpointHook'
    )
    resumed.train()
    assert resumed.iter == 8


def test_a_damaged_copy_damages_its_checkpoint_alone(tmp_path):
    hook = dict(warmup_epochs=1, bank_dir=str(tmp_path / 'disk'))
    stop(tmp_path, hook, iteration=6)
    newest, older = tmp_path / 'preempted.pth', tmp_path / 'epoch_3.pth'
    assert find_newest(tmp_path) == (newest, [])
    copy = tmp_path / read_checkpoint(str(newest))['pseudo_label_bank']['file']
    content = bytearray(copy.read_bytes())
    content[len(content) // 2] ^= 1
    copy.write_bytes(content)
    assert find_newest(tmp_path) == (older, [newest])
    copy.unlink()
    assert find_newest(tmp_path) == (older, [newest])


def test_copies_stay_as_long_as_a_checkpoint_names_them(tmp_path):
    hook = dict(warmup_epochs=1, bank_dir=str(tmp_path / 'disk'))
    runner = make_runner(tmp_path, hook, checkpoint='AtomicCheckpointHook')
    (saver,) = (h for h in runner.hooks if 'Checkpoint' in type(h).__name__)
    saver.interval = 1
    saver.max_keep_ckpts = 2
    runner.train()
    kept = [read_checkpoint(str(p)) for p in tmp_path.glob('epoch_?.pth')]
    named = {c['pseudo_label_bank']['file'] for c in kept}
    assert len(named) == 2
    # of a checkpoint that went after it was written the copy goes with the next
    assert named < {p.name for p in tmp_path.glob('*.bin')}
    os.utime(next(tmp_path.glob('*.bin')), (1, 1))  # file times do not count
    hook_of(runner).before_save_checkpoint(runner, dict(meta=dict(iter=8)))
    assert named == {p.name for p in tmp_path.glob('*.bin')}


def test_resuming_without_a_bank_is_refused(tmp_path):
    make_runner(tmp_path, dict(warmup_epochs=0), max_epochs=1).train()
    path = tmp_path / 'epoch_1.pth'
    state = torch.load(path, weights_only=False)
    del state['pseudo_label_bank']
    torch.save(state, path)
    runner = make_runner(tmp_path, dict(warmup_epochs=1), resume=True)
    with pytest.raises(ValueError, match='load_from'):
        runner.train()


def test_resuming_with_a_teacher_that_never_was_is_refused(tmp_path):
    make_runner(tmp_path, dict(warmup_epochs=0), max_epochs=1).train()
    hook = dict(warmup_epochs=1, teacher_momentum=0.9)
    with pytest.raises(ValueError, match='teacher_momentum=None'):
        make_runner(tmp_path, hook, resume=True).train()


def test_resuming_an_aligned_run_without_its_alignment_is_refused(tmp_path):
    make_runner(tmp_path, dict(warmup_epochs=0), max_epochs=1).train()
    hook = dict(warmup_epochs=1, align_area=True)
    with pytest.raises(ValueError, match='align_area=False'):
        make_runner(tmp_path, hook, resume=True).train()


def test_a_run_that_is_made_longer_does_not_warm_up_again(tmp_path):
    hook = dict(warmup_epochs=0.5)
    make_runner(tmp_path, hook, max_epochs=2).train()
    watch = Watch()
    runner = make_runner(tmp_path, hook, max_epochs=6, hooks=[watch], resume=True)
    runner.train()
    assert runner.train_loop.warmup_epochs == 3
    assert len(watch.targets) == 8  # of epochs 3 to 6
    assert all(watch.targets)


def test_an_epoch_that_is_taken_up_keeps_its_order(tmp_path):
    curriculum = dict(start=0.5)
    runner = make_runner(tmp_path, dict(warmup_epochs=1), curriculum=curriculum)
    runner.train()
    hook = hook_of(runner)
    hook.sampler.set_epoch(1)
    hook.sampler.set_reliability(torch.arange(NUM_UNLABELED).float())
    before = hook.sampler.selected()
    # by now the bank ranks the clips the other way round
    hook.bank.reliability = lambda: -torch.arange(NUM_UNLABELED).float()
    hook.sampler.skip_batches(1)
    hook.before_train_epoch(runner)
    assert torch.equal(hook.sampler.selected(), before)
    hook.sampler.skip_batches(0)
    hook.before_train_epoch(runner)
    assert not torch.equal(hook.sampler.selected(), before)
