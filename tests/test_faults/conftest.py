"""Trainings that are harmed, and a table of how they fared."""

import json
import os
import re
import socket
import subprocess
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config

from tests.test_engine.tiny_training import shallow_model_cfg

ROOT = Path(__file__).resolve().parents[2]
PROPERTY = 'fault'
# wall-clock time and names that hold it
FREE = {
    'time',
    'data_time',
    'experiment_name',
    'mmengine_version',  # names a commit
    'cfg',
    'last_ckpt',
    'best_ckpt',
    'run',  # starts anew beside a damaged checkpoint
}


@pytest.fixture(scope='session')
def config_path(tmp_path_factory, tiny_world):
    """The user's own config for small folders, with the smallest nets."""
    values = {
        'MMXPL_DATA_ROOT': str(tiny_world),
    }
    former = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    cfg = Config.fromfile(ROOT / 'configs/xpl/xpl_custom_vggss.py')
    for name, value in former.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})
    cfg.model = shallow_model_cfg()
    cfg.default_hooks.pop('visualization')
    cfg.log_level = 'WARNING'
    cfg.train_cfg.update(max_epochs=3, warmup_epochs=1)
    # its pictures take half of such a run's time, those of four strips a fifth
    cfg.default_hooks.pseudo_label_monitor.num_clips = 0
    cfg.default_hooks.pseudo_label_strip.num_clips = 1
    # all that a checkpoint can hold; options must exist in the config
    cfg.default_hooks.pseudo_label.align_area = True
    cfg.default_hooks.calibration.enable = True
    cfg.optim_wrapper.accumulative_counts = 1
    sampler = dict(labeled_per_batch=2, unlabeled_per_batch=2, num_batches=4)
    cfg.train_dataloader.sampler.update(sampler)
    cfg.train_dataloader.dataset.labeled_fraction = 0.25
    loaders = [cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader]
    parts = [cfg.train_dataloader.dataset.dataset]
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
def train(warm_python, config_path, tiny_world, tmp_path_factory):
    """Gives a function that trains and tells what became of it."""

    def run(work_dir, *options, resume=False, world=None, **job):
        log = tmp_path_factory.mktemp('log')
        config = config_path
        if world is not None:
            config = log / config_path.name
            text = config_path.read_text(encoding='utf-8')
            config.write_text(text.replace(str(tiny_world), str(world)), 'utf-8')
        argv = [str(config), '--work-dir', str(work_dir)]
        if resume:
            argv += ['--resume'] + ([str(resume)] if resume is not True else [])
        if job.get('ranks', 1) > 1:
            argv += ['--launcher', 'pytorch']
        if options:
            argv += ['--cfg-options', *options]
        codes = run_ranks(warm_python, dict(job, argv=argv, log=str(log)))
        return Outcome(
            codes=codes,
            code=codes[0],
            log=log,
            events=read_events(log / 'events0.jsonl'),
            error=(log / 'err0.txt').read_text(),
            text=(log / 'out0.txt').read_text() + (log / 'err0.txt').read_text(),
        )

    return run


def run_ranks(python, job):
    """Runs a training in one process or more; returns their exit codes."""
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        port = server.getsockname()[1]
    env = dict(
        os.environ,
        PYTHONPATH=str(ROOT),
        OMP_NUM_THREADS='1',
        CUDA_VISIBLE_DEVICES='',
        **job.pop('env', {}),
    )
    # seconds that ranks have to end after one that failed
    grace = job.pop('grace', 0)
    script, log = Path(__file__).with_name('harmed_training.py'), Path(job['log'])
    processes = []
    for rank in range(job.get('ranks', 1)):
        command = [python, str(script), json.dumps(job), str(rank), str(port)]
        with (
            open(log / f'out{rank}.txt', 'w') as out,
            open(log / f'err{rank}.txt', 'w') as err,
        ):
            processes.append(subprocess.Popen(command, env=env, stdout=out, stderr=err))
    codes = []
    for process in processes:
        codes.append(process.wait())
        if codes[-1] not in (0, os.EX_TEMPFAIL):
            # as launchers do
            for other in processes[len(codes) :]:
                with suppress(subprocess.TimeoutExpired):
                    other.wait(grace)
                other.kill()
    return codes


class Outcome(SimpleNamespace):
    """What became of a training."""

    def moment(self, phase, number=0, rank=0, **facts):
        """Number of an event of a rank; of a step that before it."""
        found = [
            event[1]
            for event in read_events(self.log / f'events{rank}.jsonl')
            if event[0] == phase
            and facts.items() <= event[2].items()
            and (phase != 'step' or 'random' in event[2])
        ]
        return found[number]

    @property
    def iterations(self):
        """The iterations that were trained."""
        return [f['iter'] for _, _, f in self.events if 'random' in f]

    @property
    def message(self):
        """The one clear error that a run ended with."""
        assert self.code == 2, self.text
        # TensorBoard's writer, a thread of its own, says itself that a disk is full
        own = re.sub(
            r'Exception in thread .*?\n\w*Error: [^\n]*\n',
            '',
            self.error,
            flags=re.DOTALL,
        )
        assert 'Traceback' not in own, self.error
        return self.error.strip().splitlines()[-1]


def read_events(path):
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


@pytest.fixture(scope='session')
def whole_run(train, tmp_path_factory):
    """Gives uninterrupted runs, each trained once, and their folders."""
    runs = {}

    def get(options=(), ranks=1):
        key = options, ranks
        if key not in runs:
            folder = tmp_path_factory.mktemp('whole')
            runs[key] = (train(folder, *options, ranks=ranks), folder)
            assert runs[key][0].codes == [0] * ranks, runs[key][0].text
        return runs[key]

    return get


@pytest.fixture(scope='session')
def same_results():
    """Gives the comparison of a whole and a resumed run."""
    return assert_same_results


def same(one, other, path='', free=FREE):
    """Asserts that two nested values are equal bit for bit."""
    assert type(one) is type(other), path
    if isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for key in one:
            if str(key).split('/')[-1] not in free:
                same(one[key], other[key], f'{path}.{key}', free)
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), path
        for place, pair in enumerate(zip(one, other, strict=True)):
            same(*pair, f'{path}.{place}', free)
    elif isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype, path
        assert torch.equal(one, other), path
    elif type(one).__name__ == 'HistoryBuffer':
        assert [a.tolist() for a in one.data] == [a.tolist() for a in other.data], path
    else:
        assert one == other, path


def last_checkpoint(work_dir):
    name = (work_dir / 'last_checkpoint').read_text()
    return torch.load(name, weights_only=False)


def names(work_dir):
    """Checkpoints and what else is left, without what holds a fingerprint."""
    return sorted(
        path.name
        for path in work_dir.iterdir()
        if not path.is_dir() and '-' not in path.name
    )


def assert_same_results(whole, resumed, folders):
    """Asserts that a resumed run ends as a whole one did."""
    one, other = map(last_checkpoint, folders)
    same(one, other)
    assert names(folders[0]) == names(folders[1])
    published = [sorted(f.glob('*-????????.pth')) for f in folders]
    assert len(published[0]) == 2
    stems = [{p.name.rsplit('-', 1)[0] for p in paths} for paths in published]
    assert stems[0] == stems[1]
    steps = [
        {f['iter']: f['random'] for name, _, f in run.events if 'random' in f}
        for run in (whole, resumed)
    ]
    assert {i: steps[0][i] for i in steps[1]} == steps[1]
    metrics = [
        {f['epoch']: f['metrics'] for name, _, f in run.events if 'metrics' in f}
        for run in (whole, resumed)
    ]
    assert metrics[0][3] == metrics[1][3]


@pytest.fixture
def fault(record_property):
    """Gives a function that puts a fault into the table."""
    return lambda kind: record_property(PROPERTY, kind)


def pytest_terminal_summary(terminalreporter):
    """Prints the table of docs/robustness.md: a row for each kind of fault."""
    tried, survived, details = Counter(), Counter(), {}
    for outcome in ('passed', 'failed'):
        for report in terminalreporter.stats.get(outcome, ()):
            for name, fault in getattr(report, 'user_properties', ()):
                if name == PROPERTY:
                    kind, *moment = fault.split(', ', 1)
                    tried[kind] += 1
                    survived[kind] += outcome == 'passed'
                    details.setdefault(kind, Counter()).update(moment)
    if not tried:
        return
    terminalreporter.section('faults')
    terminalreporter.line('| fault | tried | lost |')
    terminalreporter.line('| --- | ---: | --- |')
    for kind, number in sorted(tried.items()):
        moments = '; '.join(sorted(details[kind]))
        lost = number - survived[kind]
        terminalreporter.line(
            f'| {kind}{": " if moments else ""}{moments} | {number} | '
            f'{lost or "nothing"} |'
        )
    lost = tried.total() - survived.total()
    terminalreporter.line(f'| all | {tried.total()} | {lost or "nothing"} |')
