"""Two and four gloo processes train what one trains on the same batches."""

import os
import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.config import ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook

from mmxpl.datasets.samplers import CurriculumSampler
from mmxpl.registry import DATA_SAMPLERS
from mmxpl.testing import tiny_model_cfg
from tests.test_engine.tiny_training import Clips, hook_of, runner_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures('warm_spawn'),
    pytest.mark.xdist_group('many_processes'),
]

# no multiple of two: MMEngine's samplers repeat clips to share them evenly
LABELED, UNLABELED, TESTED = 6, 41, 7
EPOCHS, STEPS = 7, 3
LR = 2e-3


class Record(Hook):
    """Keeps losses, and which clips each epoch draws from."""

    priority = 'LOWEST'

    def __init__(self):
        self.losses, self.sizes, self.selected = [], [], []

    def before_train_epoch(self, runner):
        self.selected.append(runner.train_dataloader.sampler.selected())

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses.append({k: v.item() for k, v in outputs.items()})
        samples = data_batch['data_samples']
        self.sizes.append((sum(s.is_labeled for s in samples), len(samples)))


# batches of the ranks: so many labeled and so many unlabeled clips
UNEVEN = (
    ((3, 0), (0, 3)),
    ((0, 3), (3, 0)),
    ((0, 3), (0, 3)),
    ((3, 0), (3, 0)),
    ((2, 1), (1, 2)),
    ((1, 1), (0, 1)),  # the last one, smaller on both and uneven
)


@DATA_SAMPLERS.register_module()
class UnevenSampler(CurriculumSampler):
    """Deals the ranks what UNEVEN says; a single process gets it all."""

    def __iter__(self):
        selected = (self.selected() + self.num_labeled).tolist()
        for step, shares in enumerate(UNEVEN):
            for rank, (labeled, unlabeled) in enumerate(shares):
                if self.world_size == 1 or rank == self.rank:
                    first = 3 * (step + rank + self.epoch)
                    for n in range(labeled):
                        yield (first + n) % self.num_labeled
                    for n in range(unlabeled):
                        yield selected[(first + 7 * rank + n) % len(selected)]


def smooth(model):
    """Replaces what has kinks.

    Where two cells of a maximum are equal but for rounding, or a ReLU's input is
    zero but for it, the gradient jumps. With noise as clips that happens within
    twenty steps, whatever is done in several processes, and is all one then sees.
    """
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, torch.nn.ReLU):
                setattr(module, name, torch.nn.SiLU())
            if isinstance(child, torch.nn.MaxPool2d):
                pool = torch.nn.AvgPool2d(
                    child.kernel_size, child.stride, child.padding, child.ceil_mode
                )
                setattr(module, name, pool)
    return model


def train(world_size, work_dir, uneven, lr, hook):
    import mmxpl.engine
    import mmxpl.evaluation
    import mmxpl.models  # noqa: F401
    from mmxpl.engine.dist import use_cpu_dist
    from mmxpl.registry import MODELS

    cfg = ConfigDict(launcher='pytorch' if world_size > 1 else 'none')
    use_cpu_dist(cfg)
    record = Record()
    torch.manual_seed(0)
    # group normalisation: statistics of a batch depend on how it is divided
    model_cfg = tiny_model_cfg(norm='GN')
    model_cfg['localizers']['a']['audio_encoder']['pool'] = 'avg'
    model = smooth(MODELS.build(model_cfg))
    labeled, unlabeled = (3, 3) if uneven else (4, 8)
    if uneven:
        sampler = dict(type='UnevenSampler', num_batches=len(UNEVEN))
    else:
        sampler = dict(type='CurriculumSampler', num_batches=STEPS)
    share = 2 if uneven else world_size
    per_batch = (labeled // share, unlabeled // share)
    if uneven:  # UnevenSampler looks at their sum alone
        per_batch = ((2 if world_size > 1 else 5), 1)
    batch = (LABELED + 1, UNLABELED)
    runner = runner_of(
        work_dir,
        model,
        [Clips(0, LABELED, batch), Clips(LABELED + 1, sum(batch), batch)],
        dict(
            sampler,
            labeled_per_batch=per_batch[0],
            unlabeled_per_batch=per_batch[1],
            curriculum=dict(start=0.5),
            seed=3,
        ),
        [dict(type='CrossPseudoLabelHook', **hook), record],
        (2 if uneven else EPOCHS, 1),
        f'world{world_size}{uneven}{lr}{hook.get("view")}',
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=lr)),
        test_cfg=dict(),
        test_dataloader=dict(
            dataset=Clips(0, TESTED, batch),
            batch_size=1,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=pseudo_collate,
        ),
        test_evaluator=dict(type='CIoUMetric'),
        randomness=dict(seed=5),
        cfg=cfg,
        launcher=cfg.launcher,
    )
    initial = {k: v.clone() for k, v in model.state_dict().items()}
    # before anything is learnt: the same bits, so the same scores
    scores = None if uneven else runner.test()
    runner.train()
    model = getattr(runner.model, 'module', runner.model)
    hook = hook_of(runner)
    return dict(
        losses=record.losses,
        sizes=record.sizes,
        selected=record.selected,
        scores=scores,
        initial=initial,
        weights=model.state_dict(),
        labels=hook.bank.labels.clone(),
        visits=hook.bank.visits.clone(),
        reliability=hook.bank.reliability(),
        source=hook.labeler.state_dict(),
    )


def process(rank, world_size, port, folder, name, uneven, lr, hook):
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(world_size),
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT=str(port),
    )
    torch.set_num_threads(1)
    result = train(world_size, folder, uneven, lr, hook)
    torch.save(result, f'{folder}/{name}_{rank}.pth')
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


def run(folder, world_size, uneven=False, lr=LR, **hook):
    """What each rank of a run recorded."""
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        port = server.getsockname()[1]
    name = f'{world_size}_{len(list(folder.iterdir()))}'
    mp.start_processes(
        process,
        (world_size, port, str(folder), name, uneven, lr, hook),
        nprocs=world_size,
        start_method='spawn',
    )
    return [
        torch.load(folder / f'{name}_{rank}.pth', weights_only=False)
        for rank in range(world_size)
    ]


@pytest.fixture(scope='module')
def folder(tmp_path_factory, warm_spawn):
    return tmp_path_factory.mktemp('processes')


@pytest.fixture(scope='module')
def alone(folder):
    (result,) = run(folder, 1, align_area=True)
    return result


def check_equal(ranks, alone, tolerance):
    """Ranks agree exactly, and with one process up to rounding."""
    for other in ranks[1:]:
        for name, weight in ranks[0]['weights'].items():
            assert torch.equal(weight, other['weights'][name]), name
        for key in ('labels', 'visits', 'reliability'):
            assert torch.equal(ranks[0][key], other[key]), key
    # they went the same way
    initial, mine, one = (
        torch.cat([w.flatten().double() for w in weights.values()])
        for weights in (alone['initial'], ranks[0]['weights'], alone['weights'])
    )
    assert (mine - one).norm() < 0.01 * (one - initial).norm()
    assert torch.equal(ranks[0]['visits'], alone['visits'])
    assert (ranks[0]['labels'].float() - alone['labels'].float()).abs().max() < 1e-3
    for mine, one in zip(ranks[0]['selected'], alone['selected'], strict=True):
        assert torch.equal(mine, one)
    assert len(ranks[0]['losses']) == len(alone['losses'])
    worst = 0.0
    for step, one in enumerate(alone['losses']):
        for key, value in one.items():
            if (
                'foreground' in key
                and len({tuple(r['sizes'][step]) for r in ranks}) > 1
            ):
                continue  # logged only; a mean of unequal means
            mean = sum(r['losses'][step][key] for r in ranks) / len(ranks)
            worst = max(worst, abs(mean - value))
            assert mean == pytest.approx(value, abs=tolerance), (step, key)
    print(f'{len(ranks)} processes: largest difference of a loss {worst:.1e}')


@pytest.mark.parametrize('world_size', [2, 4])
def test_processes_equal_one(folder, alone, world_size, tmp_path):
    options = dict(align_area=True)
    if world_size == 4:  # the bank in a file that they share is the same bank
        options['bank_dir'] = str(tmp_path / 'bank')
    ranks = run(folder, world_size, **options)
    check_equal(ranks, alone, tolerance=1e-5)
    assert len(alone['losses']) == EPOCHS * STEPS > 20
    for key, value in alone['source']['area_alignment'].items():
        mine = ranks[0]['source']['area_alignment'][key]
        assert value is None or mine == pytest.approx(value, abs=1e-4), key
    # pseudo-labels were learnt from, and the curriculum did choose
    assert alone['losses'][-1]['a.loss_pseudo'] > 0
    sizes = [len(s) for s in alone['selected']]
    assert sizes[1] == UNLABELED // 2 + 1 < sizes[-1] < UNLABELED
    # seven clips on two and four processes: the padding is not counted
    assert ranks[0]['scores'] == alone['scores']
    assert alone['scores']['n_evaluated'] == TESTED


def test_labels_do_not_depend_on_who_makes_them(folder):
    """Nothing is learnt, so the bank and the shift are those of one process."""
    options = dict(lr=0.0, align_area=True)
    (alone,) = run(folder, 1, **options)
    for rank in run(folder, 2, **options):
        assert torch.equal(rank['visits'], alone['visits'])
        for key in ('labels', 'reliability'):
            assert torch.equal(rank[key], alone[key]), key
        shifts = [r['source']['area_alignment']['shift'] for r in (rank, alone)]
        assert torch.equal(*shifts)


def test_the_teacher_of_two_processes_is_that_of_one(folder):
    options = dict(teacher_momentum=0.9, reliability=['confidence'], min_confidence=0.4)
    (alone,) = run(folder, 1, **options)
    ranks = run(folder, 2, **options)
    check_equal(ranks, alone, tolerance=1e-5)
    for name, weight in alone['source']['teacher'].items():
        first, second = (r['source']['teacher'][name] for r in ranks)
        assert torch.equal(first, second), name
        torch.testing.assert_close(first, weight, atol=1e-5, rtol=1e-4)
    ratios = [
        step['a.util_ratio'] for step in alone['losses'] if 'a.util_ratio' in step
    ]
    print(f'share learnt from: {min(ratios):.2f} to {max(ratios):.2f}')
    assert any(0 < share < 1 for share in ratios)


@pytest.mark.parametrize('view', ['canonical', 'train'])
def test_ranks_without_some_kind_of_clip(folder, view):
    """No rank waits for one whose batch has no labeled or no unlabeled clip."""
    (alone,) = run(folder, 1, uneven=True, view=view)
    ranks = run(folder, 2, uneven=True, view=view)
    for rank, result in enumerate(ranks):
        dealt = [(n, n + m) for n, m in (shares[rank] for shares in UNEVEN)]
        assert [tuple(s) for s in result['sizes']] == dealt * 2
    check_equal(ranks, alone, tolerance=1e-5)
