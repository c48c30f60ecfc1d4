"""The hook in a real runner, on clips that live in memory."""

import copy
import gc
import os
import signal

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook
from mmengine.logging import MessageHub, MMLogger
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from torch.utils.data import ConcatDataset

import mmxpl.engine
import mmxpl.models  # noqa: F401
from mmxpl.engine.resume.newest_checkpoint import find_newest
from mmxpl.pseudo_labels import exchange, sharpen
from mmxpl.registry import HOOKS, MODELS
from mmxpl.testing import tiny_batch, tiny_model_cfg
from mmxpl.utils.checkpoint import read_checkpoint
from mmxpl.utils.errors import DataError

NUM_LABELED, NUM_UNLABELED = 4, 6


class Clips(torch.utils.data.Dataset):
    """Fixed noise clips."""

    metainfo = {}

    def __init__(self, labeled):
        batch = tiny_batch(NUM_LABELED, NUM_UNLABELED)
        rows = range(NUM_LABELED) if labeled else range(NUM_LABELED, 10)
        self.items = [
            dict(
                inputs={k: v[i] for k, v in batch['inputs'].items()},
                data_samples=batch['data_samples'][i],
            )
            for i in rows
        ]
        self.sample_ids = [i['data_samples'].sample_id for i in self.items]

    def full_init(self):
        pass

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return copy.deepcopy(self.items[index])


def make_runner(
    tmp_path,
    hook,
    max_epochs=4,
    hooks=(),
    resume=False,
    curriculum=None,
    checkpoint='CheckpointHook',
    names=('a', 'b'),
):
    for singleton in (MMLogger, MessageHub, Visualizer):
        singleton._instance_dict.clear()
    loader = dict(
        dataset=ConcatDataset([Clips(True), Clips(False)]),
        num_workers=0,
        sampler=dict(
            type='CurriculumSampler',
            labeled_per_batch=2,
            unlabeled_per_batch=3,
            curriculum=curriculum,
        ),
        collate_fn=pseudo_collate,
    )
    hook = dict(hook)
    warmup = hook.pop('warmup_epochs')
    torch.manual_seed(7)
    model = tiny_model_cfg()
    model['localizers'] = {n: model['localizers'].get(n, 'a') for n in names}
    runner = Runner(
        model=MODELS.build(model),
        work_dir=str(tmp_path),
        train_dataloader=loader,
        train_cfg=dict(
            type='ResumableTrainLoop', max_epochs=max_epochs, warmup_epochs=warmup
        ),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-2)),
        default_hooks=dict(
            logger=None,
            checkpoint=dict(type=checkpoint, published_keys=['meta', 'state_dict']),
        ),
        custom_hooks=[dict(type='CrossPseudoLabelHook', **hook), *hooks],
        default_scope='mmxpl',
        experiment_name=f'{tmp_path.name}{max_epochs}{resume}',
        randomness=dict(seed=7),
        log_level='ERROR',
        resume=resume,
        cfg=ConfigDict(),
    )
    return runner


class Watch(Hook):
    """Keeps what each iteration's learner was given."""

    priority = 'LOWEST'

    def __init__(self):
        self.targets, self.losses = [], []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.targets.append(
            {
                s.sample_idx: s.pseudo_label.clone()
                for s in data_batch['data_samples']
                if 'pseudo_label' in s
            }
        )

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses.append({k: float(v) for k, v in outputs.items()})


def hook_of(runner):
    (hook,) = (h for h in runner.hooks if type(h).__name__ == 'CrossPseudoLabelHook')
    return hook


def test_warm_up_then_pseudo_labels_for_every_unlabeled_clip(tmp_path):
    watch = Watch()
    runner = make_runner(tmp_path, dict(warmup_epochs=2), hooks=[watch])
    runner.train()
    assert [len(t) for t in watch.targets] == [0] * 4 + [3] * 4
    pseudo = [losses['a.loss_pseudo'] for losses in watch.losses]
    assert pseudo[:4] == [0] * 4
    assert min(pseudo[4:]) > 0
    bank = hook_of(runner).bank
    # one visit by the scoring pass, one in each of two epochs
    assert bank.visits.tolist() == [3] * NUM_UNLABELED
    assert bank.labels.shape == (NUM_UNLABELED, 2, 6, 6)


@pytest.mark.parametrize('names', ['a', 'abc'])
def test_one_and_three_localizers_train(tmp_path, names):
    runner = make_runner(tmp_path, dict(warmup_epochs=1), 2, names=tuple(names))
    runner.train()
    bank = hook_of(runner).bank
    assert bank.labels.shape == (NUM_UNLABELED, len(names), 6, 6)


@pytest.mark.parametrize(('exchange', 'told'), [('cross', True), ('self', False)])
def test_an_exchange_of_one_localizer_is_told(tmp_path, monkeypatch, exchange, told):
    hook = dict(warmup_epochs=1, exchange=exchange)
    runner = make_runner(tmp_path, hook, 2, names=('a',))
    messages = []
    monkeypatch.setattr(
        'mmxpl.engine.hooks.cross_pseudo_label_hook.print_log',
        lambda message, **kwargs: messages.append(message),
    )
    runner.train()
    assert any('gives it its own labels' in m for m in messages) == told


@pytest.mark.parametrize('mode', ['cross', 'self', 'intersection', 'ensemble'])
def test_targets_equal_labels_computed_by_hand(tmp_path, mode):
    watch, seen = Watch(), []

    class Predict(Hook):
        """Before the hook: labels by hand from the same weights."""

        priority = 'VERY_HIGH'

        def before_train_iter(self, runner, batch_idx, data_batch=None):
            model = copy.deepcopy(runner.model).eval()
            samples = [s for s in data_batch['data_samples'] if not s.is_labeled]
            rows = [
                i for i, s in enumerate(data_batch['data_samples']) if not s.is_labeled
            ]
            inputs = {k: [v[i] for i in rows] for k, v in data_batch['inputs'].items()}
            with torch.no_grad():
                maps = model(
                    **model.data_preprocessor(
                        dict(inputs=inputs, data_samples=samples)
                    ),
                    mode='tensor',
                )
            soft = torch.stack([sharpen(maps[n], 0.5) for n in 'ab'], dim=1)
            seen.append({s.sample_idx: x for s, x in zip(samples, soft, strict=True)})

    hook = dict(warmup_epochs=0, exchange=mode, momentum=0.8, temperature=0.5)
    runner = make_runner(tmp_path, hook, max_epochs=3, hooks=[watch, Predict()])
    first = {}

    class First(Hook):
        priority = 'LOWEST'

        def before_train_epoch(self, runner):
            if runner.epoch == 0:
                labels = hook_of(runner).bank.labels.float()
                first.update(enumerate(labels.clone()))

    runner.register_hook(First())
    runner.train()
    labels = dict(first)
    for now, targets in zip(seen, watch.targets, strict=True):
        for index, soft in now.items():
            labels[index] = (0.8 * labels[index] + 0.2 * soft).half().float()
            expected = exchange(labels[index][None], mode)[0]
            torch.testing.assert_close(targets[index], expected, atol=2e-3, rtol=0)


def test_hard_labels(tmp_path):
    watch = Watch()
    hook = dict(warmup_epochs=0, soft=False, momentum=0.0)
    make_runner(tmp_path, hook, max_epochs=1, hooks=[watch]).train()
    values = torch.cat([t.flatten() for d in watch.targets for t in d.values()])
    assert set(values.tolist()) <= {0.0, 1.0}


def test_train_view_learns_from_former_visits_in_the_canonical_frame(tmp_path):
    watch = Watch()
    hook = dict(warmup_epochs=0, view='train', momentum=0.5)
    runner = make_runner(tmp_path, hook, max_epochs=2, hooks=[watch])
    runner.train()
    bank = hook_of(runner).bank
    assert bank.visits.tolist() == [3] * NUM_UNLABELED
    assert all(torch.isfinite(t).all() for d in watch.targets for t in d.values())


def test_curriculum_gets_the_bank_s_ranking(tmp_path):
    watch = Watch()
    curriculum = dict(start=0.5, end=1.0)
    runner = make_runner(
        tmp_path, dict(warmup_epochs=1), hooks=[watch], curriculum=curriculum
    )
    runner.train()
    drawn = [set().union(*watch.targets[2 * e : 2 * e + 2]) for e in range(4)]
    assert [len(d) for d in drawn] == [0, 3, 4, 5]


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


@pytest.mark.parametrize('view', ['canonical', 'train'])
def test_aligned_labels_cover_what_annotators_cover(tmp_path, view):
    hook = dict(warmup_epochs=1, momentum=0.0, view=view)
    areas = {}
    for align_area in (False, True):
        runner = make_runner(
            tmp_path / str(align_area), dict(hook, align_area=align_area), max_epochs=2
        )
        runner.train()
        areas[align_area] = hook_of(runner).bank.labels.float().mean(dim=(0, 2, 3))
    clips = Clips(labeled=True)
    annotated = torch.stack([i['data_samples'].gt_map.mean() for i in clips.items])
    alignment = hook_of(runner).alignment
    assert alignment.area == pytest.approx(float(annotated.mean()))
    gap = {k: (v - annotated.mean()).abs() for k, v in areas.items()}
    # each localizer; without alignment one may be near the annotations by chance
    assert (gap[True] < 0.6 * gap[False].clamp_min(0.25)).all()
    assert gap[True].sum() < 0.6 * gap[False].sum()


def test_a_teacher_labels_from_the_end_of_the_warm_up(tmp_path):
    copies, drift = [], []

    class Compare(Hook):
        priority = 'LOWEST'

        def before_train_iter(self, runner, batch_idx, data_batch=None):
            teacher = hook_of(runner).labeler.teacher
            copies.append(teacher is not None)
            if teacher is not None:
                pairs = zip(
                    runner.model.parameters(), teacher.module.parameters(), strict=True
                )
                drift.append(sum(float((a - b).abs().sum()) for a, b in pairs))

    hook = dict(warmup_epochs=1, teacher_momentum=0.9, momentum=0.0, temperature=1)
    runner = make_runner(tmp_path, hook, max_epochs=3, hooks=[Compare()])
    runner.train()
    assert copies == [False] * 2 + [True] * 4
    assert drift[0] == 0 < drift[1]
    # the newest labels are the teacher's, from before its last updates
    assert hook_of(runner).bank.visits.tolist() == [3] * NUM_UNLABELED


def test_labels_below_the_threshold_are_not_taught_and_counted(tmp_path):
    losses, weights = {}, {}
    for threshold in (1e-6, 1.0):
        watch = Watch()

        class Weights(Hook):
            priority = 'LOWEST'

            def before_train_iter(self, runner, batch_idx, data_batch=None):
                weights[threshold] = [  # noqa: B023
                    (
                        s.is_labeled,
                        s.pseudo_weights.tolist() if 'pseudo_weights' in s else None,
                    )
                    for s in data_batch['data_samples']
                ]

        hook = dict(warmup_epochs=0, min_confidence=threshold)
        make_runner(
            tmp_path / str(threshold), hook, max_epochs=1, hooks=[watch, Weights()]
        ).train()
        losses[threshold] = watch.losses
    assert weights[1e-6] == [(True, None)] * 2 + [(False, [1, 1])] * 3
    assert weights[1.0] == [(True, None)] * 2 + [(False, [0, 0])] * 3
    assert {step['a.util_ratio'] for step in losses[1e-6]} == {1.0}
    assert {step['b.util_ratio'] for step in losses[1.0]} == {0.0}
    assert all(step['a.loss_pseudo'] > 0 for step in losses[1e-6])
    assert all(step['a.loss_pseudo'] == 0 for step in losses[1.0])


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


@pytest.mark.parametrize(
    ('hook', 'message'),
    [
        (dict(exchange='swap'), 'exchange'),
        (dict(view='strong'), 'view'),
        (dict(temperature=0), 'temperature'),
        (dict(teacher_momentum=1), 'teacher_momentum'),
        (dict(min_confidence=1.5), 'min_confidence'),
        (dict(view='train', teacher_momentum=0.9), 'canonical'),
        (dict(view='train', min_confidence=0.9), 'canonical'),
    ],
)
def test_wrong_settings_are_named(hook, message):
    with pytest.raises(ValueError, match=message):
        HOOKS.build({'type': 'CrossPseudoLabelHook', **hook})


def test_a_temperature_of_hard_labels_is_told(logged):
    hook = {'type': 'CrossPseudoLabelHook', 'soft': False}
    HOOKS.build(hook)
    assert 'temperature' not in logged()
    HOOKS.build({**hook, 'temperature': 0.5})
    assert 'temperature=0.5 has no effect' in logged()


def test_a_batch_that_does_not_fit_the_sampler_is_named(tmp_path):
    runner = make_runner(tmp_path, dict(warmup_epochs=0))
    runner._train_dataloader['batch_size'] = 4
    with pytest.raises(DataError, match='batch_size is 4, .* 2 labeled'):
        runner.train()


def test_batches_without_unlabeled_clips_are_refused(tmp_path):
    runner = make_runner(tmp_path, dict(warmup_epochs=0))
    runner._train_dataloader['sampler']['unlabeled_per_batch'] = 0
    with pytest.raises(ValueError, match='without any'):
        runner.train()


@pytest.mark.parametrize(
    ('hook', 'epochs', 'message'),
    [
        (dict(warmup_epochs=2), 2, 'all 2 epochs are warm-up'),
        (dict(warmup_epochs=0, align_area=True), 2, 'warmup_epochs to 1'),
    ],
)
def test_a_warm_up_that_does_not_fit_is_refused(tmp_path, hook, epochs, message):
    with pytest.raises(DataError, match=message):
        make_runner(tmp_path, hook, max_epochs=epochs).train()


def test_a_loop_without_a_warm_up_is_named(tmp_path):
    runner = make_runner(tmp_path, dict(warmup_epochs=0))
    runner._train_loop = dict(by_epoch=True, max_epochs=1)
    runner._train_dataloader['batch_size'] = 5
    with pytest.raises(TypeError, match="type='ResumableTrainLoop'"):
        runner.train()


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
