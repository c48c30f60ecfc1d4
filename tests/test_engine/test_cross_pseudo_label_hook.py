"""The hook in a real runner, on clips in memory."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.hooks import Hook
from mmengine.logging import MMLogger

from mmxpl.pseudo_labels import exchange, sharpen
from mmxpl.registry import HOOKS
from mmxpl.testing import tiny_model_cfg
from mmxpl.utils.errors import DataError
from tests.test_engine.tiny_training import (
    LABELED,
    NUM_UNLABELED,
    UNLABELED,
    Watch,
    hook_of,
    make_runner,
    shallow_model_cfg,
)


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


def test_a_map_that_is_no_number_does_not_move_the_area(tmp_path):
    runner = make_runner(tmp_path, dict(warmup_epochs=1, align_area=True), 2)
    runner.train()
    hook = hook_of(runner)
    updates, maps = hook.labeler.alignment.updates, torch.rand(2, 2, 6, 6)
    maps[1, 1, 0, 0] = float('nan')
    with pytest.raises(DataError, match='Maps of 1 clips are NaN or infinite: u3'):
        hook._remember(torch.tensor([0, 3]), maps)
    assert hook.labeler.alignment.updates == updates


@pytest.mark.parametrize(('exchange', 'told'), [('cross', True), ('self', False)])
def test_an_exchange_of_one_localizer_is_told(tmp_path, monkeypatch, exchange, told):
    hook = dict(warmup_epochs=1, exchange=exchange)
    runner = make_runner(tmp_path, hook, 2, names=('a',))
    messages = []
    monkeypatch.setattr(MMLogger, 'warning', lambda _, text: messages.append(text))
    runner.train()
    assert any('is self-training' in m for m in messages) == told


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


@pytest.mark.parametrize('view', ['canonical', 'train'])
def test_aligned_labels_cover_what_annotators_cover(tmp_path, view):
    hook = dict(warmup_epochs=1, momentum=0.0, view=view)
    areas = {}
    for align_area in (False, True):
        runner = make_runner(
            tmp_path / str(align_area),
            dict(hook, align_area=align_area),
            max_epochs=2,
            model=tiny_model_cfg(),
        )
        runner.train()
        areas[align_area] = hook_of(runner).bank.labels.float().mean(dim=(0, 2, 3))
    annotated = torch.stack([s.gt_map.mean() for s in LABELED().samples])
    alignment = hook_of(runner).labeler.alignment
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
    with pytest.raises(ValueError, match='sampler have none'):
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


def test_maps_of_several_sizes_are_refused_before_the_first_step(tmp_path):
    model = shallow_model_cfg()
    model['localizers']['a']['visual_backbone']['strides'] = (1,)
    runner = make_runner(tmp_path, dict(warmup_epochs=2), model=model)
    with pytest.raises(ValueError, match='need maps of one size'):
        runner.train()
    assert runner.iter == 0


def test_a_loop_without_a_warm_up_is_named(tmp_path):
    runner = make_runner(tmp_path, dict(warmup_epochs=0))
    runner._train_loop = dict(by_epoch=True, max_epochs=1)
    runner._train_dataloader['batch_size'] = 5
    with pytest.raises(TypeError, match="type='ResumableTrainLoop'"):
        runner.train()


def test_labels_begin_with_maps_of_another_model(tmp_path, monkeypatch):
    names = UNLABELED().sample_ids
    sure, unsure = torch.zeros(12, 12), torch.zeros(12, 12)
    sure[:6], unsure[:6] = 1, 0.6
    maps = {names[0]: sure.numpy(), names[1]: unsure.numpy(), 'other': sure.numpy()}
    np.savez(tmp_path / 'maps.npz', **maps)
    messages, labels, scores = [], [], []
    monkeypatch.setattr(MMLogger, 'info', lambda _, text: messages.append(text))

    class First(Hook):
        priority = 'LOW'

        def before_train_epoch(self, runner):
            bank = hook_of(runner).bank
            if bank.is_complete and not labels:
                labels.append(bank.labels.clone())
                scores.append(bank.reliability())

    hook = dict(
        warmup_epochs=1,
        init_from=str(tmp_path / 'maps.npz'),
        reliability=['agreement', 'confidence'],
    )
    runner = make_runner(tmp_path / 'run', hook, 2, hooks=[First()])
    runner.train()
    assert any('2 of 6 unlabeled clips; 1 maps' in text for text in messages)
    (first,), (ranks,) = labels, scores
    for m in range(2):
        given = F.adaptive_avg_pool2d(torch.stack([sure, unsure])[:, None], 6)[:, 0]
        expected = sharpen(given, 0.5)
        torch.testing.assert_close(first[:2, m].float(), expected, atol=1e-3, rtol=0)
    # what is sure ranks above what is not; the others have the nets' labels
    assert ranks[0] > 0.99 > ranks[1]
    assert not first[2:, 0].equal(first[2:, 1])
    # and from there the nets refine them
    last = hook_of(runner).bank.labels
    assert (last[0] - first[0]).abs().max() > 0
    assert not last[0, 0].equal(last[0, 1])


def test_maps_of_other_clips_are_refused_before_the_warm_up(tmp_path, monkeypatch):
    np.savez(tmp_path / 'maps.npz', other=np.zeros((4, 4)))
    hook = dict(warmup_epochs=1, init_from=str(tmp_path / 'maps.npz'))
    with pytest.raises(DataError, match='not one map belongs to an expected id'):
        make_runner(tmp_path / 'a', hook, 2).train()
    np.savez(tmp_path / 'maps.npz', **{UNLABELED().sample_ids[0]: np.zeros((4, 4))})
    messages = []
    monkeypatch.setattr(MMLogger, 'warning', lambda _, text: messages.append(text))
    make_runner(tmp_path / 'b', hook, 2).train()
    assert any("reliability=['agreement', 'confidence']" in text for text in messages)


@pytest.mark.parametrize(
    ('last', 'message'),
    [
        (np.full((4, 4), np.nan), 'NaN or infinite'),
        (np.full((4, 4), 2.0), r'not in \[0, 1\]'),
        (np.zeros((1, 4, 4)), r'shape \(1, 4, 4\)'),
        (np.zeros((0, 4)), r'shape \(0, 4\)'),
    ],
)
def test_every_map_is_checked_before_the_warm_up(tmp_path, last, message):
    names = UNLABELED().sample_ids
    maps = dict.fromkeys(names, np.zeros((4, 4))) | {names[-1]: last}
    np.savez(tmp_path / 'maps.npz', **maps, other=np.full((4, 4), np.nan))
    hook = dict(warmup_epochs=1, init_from=str(tmp_path / 'maps.npz'))
    watch = Watch()
    with pytest.raises(DataError, match=f"the map of '{names[-1]}' .*{message}"):
        make_runner(tmp_path / 'run', hook, 2, hooks=[watch]).train()
    assert not watch.losses
