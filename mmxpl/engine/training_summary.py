"""Descriptions of a training: what is learnt from what, and what it leaves."""

import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mmengine.optim.scheduler.param_scheduler import (
    ConstantParamScheduler,
    LinearParamScheduler,
)
from mmengine.runner import Runner

from mmxpl.datasets.samplers import CurriculumSampler
from mmxpl.utils.config_overrides import find_shipped
from mmxpl.utils.errors import DataError

_AGREEMENT = ('agreement',)


def short_schedules(runner: Runner) -> Iterator[str]:
    """Yields warnings of too few steps, with the setting to change, before training."""
    steps, loop = len(runner.train_dataloader), runner.train_loop
    total = steps * loop.max_epochs
    if steps == 1:
        yield (
            f'An epoch has one step, of {runner.train_dataloader.batch_size} clips. '
            'For more set num_batches of train_dataloader.sampler, or smaller batches.'
        )
    schedulers = runner.param_schedulers
    if not isinstance(schedulers, list):
        return
    for place, scheduler in enumerate(schedulers):
        if not isinstance(scheduler, ConstantParamScheduler | LinearParamScheduler):
            continue
        length = scheduler.end * (steps if scheduler.by_epoch else 1)
        if scheduler.begin == 0 and length > total:
            yield (
                f'All {total} steps of this training, {loop.max_epochs} epochs of '
                f'{steps}, lie inside the warm-up of the learning rate, which takes '
                f'{length}. Set param_scheduler.{place}.end, more epochs, or '
                'num_batches of train_dataloader.sampler.'
            )


def describe_training(runner: Runner) -> str:
    """Describes clips, steps, sources and files of a training about to begin."""
    sampler = runner.train_dataloader.sampler
    lines = ['This training:']
    if isinstance(sampler, CurriculumSampler):
        lines += [*_clips_and_steps(runner, sampler), *_sources(runner, sampler)]
    else:
        lines += [
            f'Clips: {len(runner.train_dataloader.dataset)}.',
            f'Steps: {_steps(runner)} of {runner.train_dataloader.batch_size} clips.',
        ]
    return '\n  '.join([*lines, f'Log, config and curves: {runner.log_dir}'])


def describe_result(runner: Runner) -> str:
    """Describes what a training that has ended leaves.

    That is the best score with its checkpoint, the last checkpoint, and the command
    that tests one; nothing if no checkpoint was written.
    """
    info = runner.message_hub.runtime_info
    best = {
        key.removeprefix('best_ckpt'): path
        for key, path in info.items()
        if key.startswith('best_ckpt') and _is_here(path)
    }
    lines = ['This training has ended:']
    for name, path in best.items():
        what = re.match('best_(.*)_(epoch|iter)_', Path(path).name)
        what = name.removeprefix('_') or (what[1] if what else 'score')
        lines.append(f'Best {what}: {float(info[f"best_score{name}"]):.4g}, {path}')
    last = info.get('last_ckpt')
    if not _is_here(last):
        last = None
    else:
        lines.append(f'Last checkpoint: {last}')
    checkpoint = next(iter(best.values()), last)
    if checkpoint is None:
        return ''
    config = runner.cfg.filename
    written = Path(runner.work_dir, Path(config or '').name)  # with all options
    if config and runner.cfg.get('test_dataloader'):
        config = written if written.is_file() else config
        with suppress(DataError):  # a copy of the package alone has no tools
            tool, here = find_shipped('tools/test.py'), Path.cwd()
            tool = tool.relative_to(here) if tool.is_relative_to(here) else tool
            command = shlex.join(['python', str(tool), str(config), checkpoint])
            lines.append(f'To test: {command}')
    return '\n  '.join(lines)


def _is_here(path: str | None) -> bool:
    """Tells whether there is a file, as far as it can be told."""
    return bool(path) and ('://' in path or Path(path).is_file())


def _steps(runner: Runner) -> str:
    processes = f' on {runner.world_size} processes' if runner.world_size > 1 else ''
    return (
        f'{runner.train_loop.max_epochs} epochs of {len(runner.train_dataloader)} '
        f'steps{processes}'
    )


def _clips_and_steps(runner: Runner, sampler: CurriculumSampler) -> Iterator[str]:
    """How many clips there are, and how often each is seen."""
    counts = [
        (sampler.labeled_per_batch, 'labeled', sampler.num_labeled),
        (sampler.unlabeled_per_batch, 'unlabeled', sampler.num_unlabeled),
    ]
    clips = ', '.join(f'{clips} {kind}' for _, kind, clips in counts)
    if runner.val_loop is not None:
        clips += f', {len(runner.val_dataloader.dataset)} for validation'
    yield f'Clips: {clips}.'
    counts = [count for count in counts if count[0]]
    batch = ' + '.join(f'{number} {kind}' for number, kind, _ in counts)
    drawn = runner.train_loop.max_epochs * sampler.num_batches * runner.world_size
    seen = ', '.join(
        f'each {kind} one {drawn * number / clips:.1f} times'
        for number, kind, clips in counts
    )
    yield f'Steps: {_steps(runner)} of {batch} clips; {seen} on average.'


def _sources(runner: Runner, sampler: CurriculumSampler) -> Iterator[str]:
    cfg = runner.cfg
    weight = (cfg.model.get('loss_supervised') or {}).get('loss_weight', 1)
    if sampler.labeled_per_batch and weight:
        yield f'Learnt from: labels of {sampler.num_labeled} clips.'
    if cfg.model.get('loss_contrastive'):
        yield 'Learnt from: the pairing of frame and sound in all clips.'
    labels = (cfg.get('default_hooks') or {}).get('pseudo_label')
    if labels:
        kind = 'soft' if labels.get('soft', True) else 'hard'
        start, end = sampler.curriculum
        share = '' if start == 1 else f', the most reliable {start:.0%} to {end:.0%}'
        source = f'exchange: {labels.get("exchange", "cross")}'
        if len(cfg.model.get('localizers', ())) == 1:
            source = 'its own labels'
            if tuple(labels.get('reliability', _AGREEMENT)) == _AGREEMENT:
                share = ''  # one localizer agrees with itself on every clip
        # a resumed run keeps the warm-up that it has had
        yield (
            f'Learnt from: {kind} pseudo-labels ({source}) of unlabeled clips{share}, '
            f'from epoch {sampler.schedule[0] + 1} on.'
        )
