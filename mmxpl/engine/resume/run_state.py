"""State of a run in its checkpoints, and its comparison with the run that resumes."""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from mmengine.config import Config
from mmengine.dist import all_gather_object
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmxpl.registry import HOOKS
from mmxpl.utils.checkpoint import embedded_config
from mmxpl.utils.errors import DataError
from mmxpl.utils.ids import fingerprint
from mmxpl.utils.parallel import unwrap

from ..training_summary import short_schedules

_SHOWN = 6
# what decides how a run trains
_READ = (
    'auto_scale_lr',
    'custom_hooks',
    'default_hooks',
    'model',
    'optim_wrapper',
    'param_scheduler',
    'train_cfg',
    'train_dataloader',
)
# speed, places and what is written; batches and lists, which are compared themselves
_FREE = re.compile(
    r'default_hooks\.(checkpoint|logger|timer|visualization|preemption)\b'
    r'|train_cfg\.(val_interval|val_begin)\b'
    r'|train_dataloader\.(batch_size|num_workers|persistent_workers|pin_memory'
    r'|prefetch_factor|sampler\.(un)?label+ed_per_batch)\b'
    r'|.*\.(data_root|cache|bank_dir|init_cfg|interval)\b'
)
# restored from the checkpoint with all their options
_RESTORED = re.compile(
    r'(optim_wrapper\.(optimizer|paramwise_cfg|constructor)|param_scheduler)\b'
)


def describe_run(loader: DataLoader, world_size: int) -> dict[str, Any]:
    """Describes the clips of a run and their order by plain values."""
    sampler, dataset = loader.sampler, loader.dataset
    parts = getattr(dataset, 'datasets', [dataset])
    state = dict(
        world_size=world_size,
        batch_size=loader.batch_size,
        batches=len(loader),
        lists=[
            fingerprint(part.sample_ids) if hasattr(part, 'sample_ids') else len(part)
            for part in parts
        ],
        annotations=[
            fingerprint(
                repr((x.get('bboxes'), x.get('mask')))
                for x in map(part.get_data_info, range(len(part)))
            )
            for part in parts
            if getattr(part, 'labeled', False)
        ],
    )
    for name in ('seed', 'labeled_per_batch', 'unlabeled_per_batch'):
        if hasattr(sampler, name):
            state[f'sampler_{name}'] = getattr(sampler, name)
    return state


def compare_runs(former: dict[str, Any], now: dict[str, Any]) -> str | None:
    """Checks that a run continues with the same clips in the same batches.

    Both are from :func:`describe_run`: ``former`` wrote the checkpoint, ``now`` resumes
    it. Another number of processes is accepted if together they make the same batches:
    every clip is then drawn and augmented as before, and only rounding differs; a line
    for the log is returned. A DataError names every reason against it with its remedy.
    """
    reasons = '; '.join(_reasons(former, now))
    if reasons:
        raise DataError(
            f'The checkpoint does not fit this run: {reasons}. To start a new run from '
            'its weights, set load_from and leave resume out.'
        )
    if former['world_size'] == now['world_size']:
        return None
    return (
        f'The run was started with {former["world_size"]} processes and goes on with '
        f'{now["world_size"]}. Together they make the same batches, so that results '
        'differ by rounding alone.'
    )


def _reasons(former: dict, now: dict) -> Iterator[str]:
    """Yields why a run cannot continue with these clips, with the remedies."""
    before, here = former.get('sampler_seed'), now.get('sampler_seed')
    if before != here:
        yield f'its seed is {before}, this one {here}: set randomness.seed={before}'
    before, here = former['lists'], now['lists']
    # former releases did not keep the annotations
    annotations = former.get('annotations', now['annotations'])
    if len(before) != len(here):
        yield f'it was trained on {len(before)} data sets, here are {len(here)}'
    elif before != here:
        names = [f'{place}th' for place in range(1, len(here) + 1)]
        if len(here) == 2:
            names = ['labeled', 'unlabeled']
        for name, *pair in zip(names, before, here, strict=True):
            if pair[0] != pair[1]:
                yield (
                    f'its {name} clips are others than these, or in another order: use '
                    'the lists that it was started with'
                )
    elif annotations != now['annotations']:
        yield (
            'its labeled clips have other boxes or masks than these: use the '
            'annotations that it was started with'
        )
    kinds = ('sampler_labeled_per_batch', 'sampler_unlabeled_per_batch')
    kinds = [name for name in kinds if name in former and name in now]
    for name in kinds or ['batch_size']:
        before, here = (run[name] * run['world_size'] for run in (former, now))
        if before != here:
            what = name.removeprefix('sampler_')
            share, rest = divmod(before, now['world_size'])
            remedy = f'set {what}={share}'
            if rest:
                remedy = 'it cannot be divided evenly; take another number of processes'
            yield (
                f'its batches of all processes hold {before} clips by {what}, these '
                f'{here}: with {now["world_size"]} processes {remedy}'
            )
            return  # the number of batches follows
    if former['batches'] != now['batches']:
        yield (
            f'its epochs have {former["batches"]} batches, these {now["batches"]}: '
            'keep num_batches of the sampler'
        )


def compare_settings(former: Config, now: Config) -> list[str]:
    """Compares the config of a checkpoint with that of the run that resumes it.

    Returns lines for the log: another number of epochs, changed settings without
    effect, and changed settings that apply from here on.
    """
    before, here = _settings(former), _settings(now)
    # descriptions by dotted key
    changed = {
        key: f'{key} {_value(before, key)} -> {_value(here, key)}'
        for key in sorted({*before, *here})
        if before.get(key) != here.get(key) and not _FREE.match(key)
    }
    lines = []
    if epochs := changed.pop('train_cfg.max_epochs', None):
        lines.append(
            f'{epochs}: the curriculum follows the new number, and so does a warm-up '
            'given as a share of it, unless pseudo-labels have begun. The learning '
            'rate keeps the schedule of the checkpoint.'
        )
    restored = [line for key, line in changed.items() if _RESTORED.match(key)]
    others = [line for key, line in changed.items() if not _RESTORED.match(key)]
    if restored:
        lines.append(
            'Without effect in a resumed run, which goes on with the optimizer and the '
            f'schedule of its checkpoint: {_some(restored)}. To train '
            'with other ones, set load_from and leave resume out.'
        )
    if others:
        lines.append(
            'The run was started with other settings, and goes on with these: '
            f'{_some(others)}. To go on as it was started, set them back.'
        )
    return lines


def _settings(cfg: Config) -> dict[str, Any]:
    """Collects what decides how a run trains, by dotted key."""
    whole = cfg._cfg_dict.to_dict()
    return dict(_flatten({key: whole[key] for key in _READ if key in whole}))


def _flatten(node: Any, path: str = '') -> Iterator[tuple[str, Any]]:
    """Yields dotted keys and plain values; items of lists by their type."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _flatten(value, f'{path}.{key}' if path else str(key))
    elif isinstance(node, list | tuple) and any(isinstance(x, dict) for x in node):
        kinds = [x.get('type') if isinstance(x, dict) else None for x in node]
        for place, (kind, item) in enumerate(zip(kinds, node, strict=True)):
            unique = kind is not None and kinds.count(kind) == 1
            yield from _flatten(item, f'{path}.{kind if unique else place}')
    else:
        yield path, list(node) if isinstance(node, tuple) else node


def _some(changes: list[str]) -> str:
    more = f', and {len(changes) - _SHOWN} more' if len(changes) > _SHOWN else ''
    return ', '.join(changes[:_SHOWN]) + more


def _value(values: dict, key: str) -> str:
    return repr(values[key]) if key in values else '(none)'


@HOOKS.register_module()
class RunStateHook(Hook):
    """Refuses to resume the checkpoint of another run, and restores the sampler.

    Seed, lists of clips, annotations, composition of the batches and number of
    processes are written into every checkpoint and compared at a resume, see
    :func:`compare_runs`; other settings that differ cause a warning,
    see :func:`compare_settings`. Within an epoch the sampler's
    ``state_dict`` is written, too, if it has one. So are the buffers of the model on
    every rank: statistics of batch normalisation differ between ranks, and MMEngine
    saves those of the first.
    """

    # the sampler must be as it was before hooks look at it
    priority = 'VERY_HIGH'
    KEY = 'run_state'

    def __init__(self) -> None:
        self._run: dict | None = None
        self._resumed: dict | None = None
        self._changed: list[str] = []
        self._buffers: list[dict] | None = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keeps the state of a resumed run until the loop is ready."""
        if not runner._resume:
            return
        # MMEngine writes no config that cannot be read, but a file may be another's
        with suppress(DataError):
            former = embedded_config(checkpoint, str(runner._load_from))
            self._changed = compare_settings(former, runner.cfg)
        self._resumed = checkpoint.get(self.KEY)
        if self._resumed is None:
            runner.logger.warning(
                'The checkpoint does not say which run it belongs to, so that neither '
                'its lists nor its seed can be compared with this one.'
            )

    def before_train(self, runner: Runner) -> None:
        """Compares the runs and restores sampler and buffers.

        Raises a DataError if the checkpoint does not fit this run.
        """
        self._warn_of_accumulation(runner)
        for line in short_schedules(runner):
            runner.logger.warning(line)
        self._run = describe_run(runner.train_dataloader, runner.world_size)
        converted = None
        if self._resumed is not None:
            converted = compare_runs(self._resumed['run'], self._run)
        # not before: a refused run needs no warnings of its settings
        for line in filter(None, [*self._changed, converted]):
            runner.logger.warning(line)
        if self._resumed is None:
            return
        if self._resumed['sampler'] is not None:
            runner.train_dataloader.sampler.load_state_dict(self._resumed['sampler'])
        if self._resumed['buffers'] and not converted:
            buffers = self._resumed['buffers'][runner.rank]
            unwrap(runner.model).load_state_dict(buffers, strict=False)
        self._resumed = None

    def gather_before_save(self, runner: Runner) -> None:
        """Collects the buffers of all ranks; every rank calls it."""
        if runner.world_size > 1:
            own = unwrap(runner.model).state_dict()
            for name, _ in unwrap(runner.model).named_parameters():
                own.pop(name)
            own = {name: value.cpu() for name, value in own.items()}
            self._buffers = all_gather_object(own)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Adds the state."""
        loader, meta = runner.train_dataloader, checkpoint['meta']
        in_epoch = meta['iter'] - meta['epoch'] * len(loader) > 0
        keeps_state = in_epoch and hasattr(loader.sampler, 'state_dict')
        checkpoint[self.KEY] = dict(
            run=self._run,
            buffers=self._buffers,
            sampler=loader.sampler.state_dict() if keeps_state else None,
        )

    @staticmethod
    def _warn_of_accumulation(runner: Runner) -> None:
        """Warns if a resume loses gradients that are still accumulated."""
        counts = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
        epoch = len(runner.train_dataloader)
        periods = {f'{epoch} iterations of an epoch': epoch}
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook) and not hook.by_epoch:
                what = f'{hook.interval} iterations between two checkpoints'
                periods[what] = hook.interval
        for what, period in periods.items():
            if period > 0 and period % counts:
                runner.logger.warning(
                    f'optim_wrapper.accumulative_counts={counts} does not divide the '
                    f'{what}: gradients accumulated at that point are in no '
                    'checkpoint, so that a resumed run is not exact. Set one that '
                    'divides both, or another interval.'
                )
