"""Two batches of half the size, one step: as one batch."""

import pytest
import torch
from mmengine.hooks import Hook

import mmxpl.engine
import mmxpl.models  # noqa: F401
from mmxpl.registry import MODELS
from mmxpl.testing import tiny_model_cfg
from tests.test_engine.tiny_training import Clips, hook_of, runner_of


class Rates(Hook):
    """Keeps the learning rate of each iteration and counts the optimizer's steps."""

    def __init__(self):
        self.rates, self.steps = [], 0

    def before_train(self, runner):
        optimizer = runner.optim_wrapper.optimizer
        step = optimizer.step

        def counted(*args, **kwargs):
            self.steps += 1
            return step(*args, **kwargs)

        optimizer.step = counted

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.rates.append(runner.optim_wrapper.get_lr()['lr'][0])


def train(tmp_path, counts, norm='GN', contrastive=False):
    torch.manual_seed(0)
    cfg = tiny_model_cfg(norm=norm)
    cfg['data_preprocessor']['augment'] = None  # views are drawn anew each iteration
    if not contrastive:
        cfg['loss_contrastive'] = None
    rates = Rates()
    clips = [Clips(0, 4, batch=(4, 8)), Clips(4, 12, batch=(4, 8))]
    runner = runner_of(
        tmp_path,
        MODELS.build(cfg),
        clips,
        dict(labeled_per_batch=2 // counts, unlabeled_per_batch=4 // counts, seed=1),
        [dict(type='CrossPseudoLabelHook'), rates],
        (3, 1),
        f'{tmp_path.name}{counts}{norm}{contrastive}',
        optim_wrapper=dict(
            optimizer=dict(type='SGD', lr=0.01, momentum=0.9),
            accumulative_counts=counts,
            clip_grad=dict(max_norm=1.0),
        ),
        param_scheduler=dict(
            type='LinearLR', start_factor=0.5, by_epoch=True, begin=0, end=3
        ),
        randomness=dict(seed=5),
    )
    runner.train()
    weights = torch.cat([w.detach().flatten() for w in runner.model.parameters()])
    return weights, hook_of(runner).bank, rates


def test_two_halves_are_one_batch(tmp_path):
    whole, bank, one = train(tmp_path, 1)
    halves, other, two = train(tmp_path, 2)
    torch.testing.assert_close(halves, whole, atol=1e-5, rtol=1e-3)
    # 2 epochs and the scoring pass: three visits, however often the net was stepped
    assert bank.visits.tolist() == other.visits.tolist() == [3] * 8
    torch.testing.assert_close(
        other.labels.float(), bank.labels.float(), atol=2e-3, rtol=0
    )
    assert one.steps == two.steps == 6
    assert two.rates[::2] == two.rates[1::2] == one.rates
    assert len(set(one.rates)) > 1


@pytest.mark.parametrize('what', [dict(norm='BN'), dict(contrastive=True)])
def test_what_looks_at_the_whole_batch_differs(tmp_path, what):
    """Batch statistics and negatives are those of the half batch."""
    whole, bank, _ = train(tmp_path, 1, **what)
    halves, other, _ = train(tmp_path, 2, **what)
    assert (halves - whole).abs().max() > 1e-4
    assert torch.equal(other.visits, bank.visits)
