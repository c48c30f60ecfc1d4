"""Trainings that are harmed, and a table of how they fared."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.config import Config

from mmxpl.testing import tiny_model_cfg

ROOT = Path(__file__).resolve().parents[2]
PROPERTY = 'fault'


@pytest.fixture(scope='session')
def server():
    """The process that runs trainings in its forks."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name('server.py'))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(
            os.environ,
            PYTHONPATH=str(ROOT),
            OMP_NUM_THREADS='1',
            CUDA_VISIBLE_DEVICES='',
            MMXPL_LABELLED_FRACTION='0.5',
        ),
    )
    yield process
    process.stdin.close()
    process.wait(30)


@pytest.fixture(scope='session')
def config_path(tmp_path_factory, tiny_world):
    """The user's own config for small folders, with the smallest nets."""
    values = {
        'MMXPL_LABELLED_FRACTION': '0.5',
        'MMXPL_DATA_ROOT': str(tiny_world),
    }
    former = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    cfg = Config.fromfile(ROOT / 'configs/xpl/xpl_custom.py')
    for name, value in former.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})
    cfg.model = tiny_model_cfg()
    cfg.default_hooks.pop('visualization')
    cfg.log_level = 'WARNING'
    cfg.train_cfg.max_epochs = 3
    cfg.param_scheduler[0].end = 5
    cfg.param_scheduler[1].update(end=3, T_max=3)
    cfg.custom_hooks[3].update(warmup_epochs=1, align_area=True)
    sampler = dict(labelled_per_batch=2, unlabelled_per_batch=2, num_batches=4)
    curriculum = dict(start=0.5, end=1.0, begin=1, until=3)
    cfg.train_dataloader.sampler.update(sampler, curriculum=curriculum)
    cfg.train_dataloader.batch_size = 4
    loaders = [cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader]
    parts = [*cfg.train_dataloader.dataset.datasets]
    parts += [loader.dataset for loader in loaders[1:]]
    for loader in loaders:
        loader.update(num_workers=0, persistent_workers=False)
    for part in parts:
        part.pipeline[0].size = (48, 48)
        part.pipeline[1].update(sample_rate=8000, duration=0.5)
    path = tmp_path_factory.mktemp('config') / 'tiny.py'
    cfg.dump(path)
    return path


@pytest.fixture(scope='session')
def train(server, config_path, tmp_path_factory):
    """Gives a function that trains in a fork and tells what became of it."""

    def run(work_dir, *options, resume=False, **job):
        argv = [str(config_path), '--work-dir', str(work_dir)]
        if resume:
            argv += ['--resume'] + ([str(resume)] if resume is not True else [])
        if job.get('ranks', 1) > 1:
            argv += ['--launcher', 'pytorch']
        if options:
            argv += ['--cfg-options', *options]
        log = tmp_path_factory.mktemp('log')
        server.stdin.write(json.dumps(dict(job, argv=argv, log=str(log))) + '\n')
        server.stdin.flush()
        codes, seconds = json.loads(server.stdout.readline())
        return SimpleNamespace(
            codes=codes,
            code=codes[0],
            seconds=seconds,
            log=log,
            events=read_events(log / 'events0.jsonl'),
            error=(log / 'err0.txt').read_text(),
            text=(log / 'out0.txt').read_text() + (log / 'err0.txt').read_text(),
        )

    return run


def read_events(path):
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


@pytest.fixture
def fault(record_property):
    """Gives a function that puts a fault that was survived into the table."""

    def record(kind):
        kinds.append(kind)

    kinds = []
    yield record
    for kind in kinds:
        record_property(PROPERTY, kind)


def pytest_terminal_summary(terminalreporter):
    """Prints the table."""
    tried, survived = Counter(), Counter()
    for outcome in ('passed', 'failed'):
        for report in terminalreporter.stats.get(outcome, ()):
            for name, kind in getattr(report, 'user_properties', ()):
                if name == PROPERTY:
                    tried[kind] += 1
                    survived[kind] += outcome == 'passed'
    if not tried:
        return
    terminalreporter.section('faults')
    width = max(map(len, tried))
    terminalreporter.line(f'{"fault":{width}}  tried  survived')
    for kind, number in sorted(tried.items()):
        terminalreporter.line(f'{kind:{width}}  {number:5}  {survived[kind]:8}')
    terminalreporter.line(f'{"all":{width}}  {tried.total():5}  {survived.total():8}')
