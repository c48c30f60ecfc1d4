import re
import runpy
from pathlib import Path

import pytest

from mmxpl.datasets.samplers import set_batch_size
from mmxpl.registry import MODELS, register_all_modules

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs' / 'xpl' / 'xpl_synthetic.py'
TOOL = runpy.run_path(str(ROOT / 'tools/analysis_tools/benchmark.py'))
SMALL = [
    '--cfg-options',
    'train_dataloader.sampler.labeled_per_batch=1',
    'train_dataloader.sampler.unlabeled_per_batch=2',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'train_dataloader.dataset.labeled_fraction=0.5',
    'val_dataloader.batch_size=2',
]


def test_every_task_is_measured(tiny_world, monkeypatch, capsys):
    monkeypatch.setenv('MMXPL_DATA_ROOT', str(tiny_world))
    TOOL['main']([str(CONFIG), '--num-iters', '2', '--num-warmup', '1', *SMALL])
    out = capsys.readouterr().out
    rows = re.findall(r'^(\w+) +(\d+) +([\d.]+) ms +([\d.]+) ms +([\d.]+)$', out, re.M)
    assert [(name, clips) for name, clips, *_ in rows] == [
        ('loader', '3'),
        ('label_pass', '2'),
        ('train_step', '3'),
        ('inference', '2'),
    ]
    for _, clips, median, slowest, rate in rows:
        assert 0 < float(median) <= float(slowest)
        # of two, the median is the mean
        assert float(rate) == pytest.approx(1e3 * int(clips) / float(median), rel=0.1)


def test_warm_up_is_not_measured():
    calls = []
    args = TOOL['parse_args'](['x', '--num-iters', '3', '--num-warmup', '2'])
    seconds = TOOL['measure'](lambda: calls.append(None), args)
    assert (len(calls), len(seconds)) == (5, 3)


def test_a_step_learns_from_every_loss(tiny_world, monkeypatch):
    monkeypatch.setenv('MMXPL_DATA_ROOT', str(tiny_world))
    register_all_modules()
    args = TOOL['parse_args']([str(CONFIG), *SMALL])
    cfg = TOOL['load_config'](str(CONFIG), args.cfg_options)
    set_batch_size(cfg.train_dataloader)
    learner = MODELS.build(cfg.model)
    step, _ = TOOL['train_step'](cfg, learner)
    losses = []
    parse = learner.parse_losses
    monkeypatch.setattr(
        learner, 'parse_losses', lambda given: losses.append(given) or parse(given)
    )
    before = [p.clone() for p in learner.parameters()]
    step()
    step()  # augmentation changed nothing of the batch
    assert all(float(losses[1][f'{n}.loss_pseudo']) > 0 for n in 'ab')
    assert any(
        (p != q).any() for p, q in zip(before, learner.parameters(), strict=True)
    )
