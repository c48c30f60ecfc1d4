"""Hooks that refuse checkpoints of another model or run."""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from mmengine.dist import all_gather_object
from mmengine.hooks import CheckpointHook, Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner, find_latest_checkpoint
from torch import Tensor

from mmxpl.registry import HOOKS
from mmxpl.utils.checkpoint import embedded_config
from mmxpl.utils.errors import DataError
from mmxpl.utils.parallel import unwrap

from ..training_summary import short_schedules
from .compatibility import compare_runs, compare_settings, describe_run

_NAMED = 3
_FOR_RESUME = ('meta', 'message_hub', 'optimizer')


class Mismatch(NamedTuple):
    """How the weights of a checkpoint differ from those of a model."""

    missing: list[str]
    unexpected: list[str]
    mis_shaped: list[str]

    def __str__(self) -> str:
        kinds = (
            ('missing', self.missing),
            ('unexpected', self.unexpected),
            ('of another shape', self.mis_shaped),
        )
        return '; '.join(
            f'{len(keys)} {kind} ({", ".join(keys[:_NAMED])}'
            f'{", ..." if len(keys) > _NAMED else ""})'
            for kind, keys in kinds
            if keys
        )


def compare_weights(
    model: Mapping[str, Tensor], checkpoint: Mapping[str, Tensor]
) -> Mismatch:
    """Compares the names and shapes of two state dicts.

    Args:
        model (Mapping[str, Tensor]): State dict of the model.
        checkpoint (Mapping[str, Tensor]): State dict to load. A prefix
            ``module.``, which wrappers add, does not count.

    Returns:
        Mismatch: Names that only one of them has, or both in other shapes.
    """
    given = {re.sub(r'^module\.', '', key): value for key, value in checkpoint.items()}
    return Mismatch(
        missing=[key for key in model if key not in given],
        unexpected=[key for key in given if key not in model],
        mis_shaped=[
            f'{key}: {_shape(given[key])} for {_shape(value)}'
            for key, value in model.items()
            if key in given and _shape(given[key]) != _shape(value)
        ],
    )


def _shape(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape) if isinstance(value, Tensor) else None


@HOOKS.register_module()
class CheckpointGuardHook(Hook):
    """Stops a run whose checkpoint does not fit its model.

    MMEngine loads what fits and logs the rest, so that a run with the weights
    of another model goes on with random ones. This hook compares names and
    shapes before anything is loaded. It also stops a resume from a file that
    holds weights alone, and keeps MMEngine from running a config that a
    checkpoint brings along.

    Args:
        partial (bool): Whether a checkpoint may fit in part, as in fine-tuning
            from another model; at least one weight must fit. Defaults to False.
    """

    # before hooks that read their own entries from the checkpoint
    priority = 'VERY_HIGH'

    def __init__(self, partial: bool = False) -> None:
        self.partial = partial

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compares a checkpoint with the model that is about to load it.

        Args:
            runner (Runner): The runner.
            checkpoint (dict): What the file held.

        Raises:
            DataError: If the checkpoint does not fit.
        """
        name = _checkpoint_name(runner)
        expected = unwrap(runner.model).state_dict()
        mismatch = compare_weights(expected, checkpoint.get('state_dict', checkpoint))
        misfits = len(mismatch.missing) + len(mismatch.mis_shaped)
        if self.partial:
            if expected and misfits == len(expected):
                raise DataError(f'{name} shares no weight with this model.')
        elif any(mismatch):
            raise DataError(
                f'{name} belongs to another model than this config builds. Of '
                f'{len(expected)} weights: {mismatch}. Use the config that it was '
                'trained with, or, to start from what fits, set '
                'partial=True of CheckpointGuardHook.'
            )
        lacking = [key for key in _FOR_RESUME if key not in checkpoint]
        if runner._resume and lacking:
            raise DataError(
                f'{name} cannot be resumed from, it has no '
                f'{", ".join(lacking)}. To start from its weights set load_from '
                'and leave resume out.'
            )
        if runner._resume:
            _check_optimizer(runner.optim_wrapper, checkpoint['optimizer'], name)
        # MMEngine runs this text as a config, that is as a program, when it resumes
        if runner._resume and checkpoint['meta'].pop('config', None) is not None:
            runner.logger.warning(f'{name} brings a config of its own, left unread.')


def _check_optimizer(wrapper: OptimWrapper, state: dict, name: str) -> None:
    """Refuses the state of another optimizer, which would fail later or unnoticed."""
    own = wrapper.state_dict()
    if not isinstance(own.get('param_groups'), list):
        return  # several optimizers: MMEngine compares their names
    before, here = (_groups(x.get('param_groups', [])) for x in (state, own))
    if before == here:
        return
    options = [set().union(*(keys for keys, _ in groups)) for groups in (before, here)]
    differ = sorted(options[0] ^ options[1])
    sizes = [[size for _, size in groups] for groups in (before, here)]
    detail = (
        f'which has other options ({", ".join(differ)})'
        if differ
        else f'whose groups have {sizes[0]} parameters, here {sizes[1]}'
    )
    raise DataError(
        f'{name} was written with another optimizer, {detail}. Resume with the '
        'optim_wrapper that the run was started with, or, to start from its weights, '
        'set load_from and leave resume out.'
    )


def _groups(groups: list[dict]) -> list[tuple[frozenset, int]]:
    """Names of the options of each group, and the number of its parameters.

    Switches come and go with releases of PyTorch, ``initial_lr`` with schedulers.
    """
    return [
        (
            frozenset(
                key
                for key, value in group.items()
                if key not in ('params', 'initial_lr')
                and not isinstance(value, bool | None)
            ),
            len(group['params']),
        )
        for group in groups
    ]


def _checkpoint_name(runner: Runner) -> str:
    """Names the file that a runner is loading."""
    path = runner._load_from
    if path is None and runner._resume:
        path = find_latest_checkpoint(runner.work_dir)
    return f"checkpoint '{path}'" if path else 'the checkpoint'


@HOOKS.register_module()
class RunStateHook(Hook):
    """Refuses to resume what is another run, and restores the sampler.

    Seed, lists of clips, annotations, composition of the batches and number of
    processes are written into every checkpoint and compared at a resume, see
    :func:`~.compatibility.compare_runs`; of other settings that differ, see
    :func:`~.compatibility.compare_settings`, it warns. In mid-epoch
    the sampler's ``state_dict`` is written, too, if it has one. So are the model's
    buffers of every rank: statistics of batch normalisation differ between ranks,
    and a checkpoint has those of the first.
    """

    # the sampler must be as it was before hooks look at it
    priority = 'VERY_HIGH'
    KEY = 'run_state'

    def __init__(self) -> None:
        self._run: dict | None = None
        self._resumed: dict | None = None
        self._buffers: list[dict] | None = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keeps the state of a resumed run until the loop is ready."""
        if not runner._resume:
            return
        self._warn_of_settings(runner, checkpoint)
        self._resumed = checkpoint.get(self.KEY)
        if self._resumed is None:
            runner.logger.warning(
                'The checkpoint does not say which run it belongs to, so that neither '
                'its lists nor its seed can be compared with this one.'
            )

    def before_train(self, runner: Runner) -> None:
        """Compares, and restores the sampler.

        Raises:
            DataError: If the checkpoint does not fit this run.
        """
        self._warn_of_accumulation(runner)
        for line in short_schedules(runner):
            runner.logger.warning(line)
        self._run = describe_run(runner.train_dataloader, runner.world_size)
        if self._resumed is None:
            return
        converted = compare_runs(self._resumed['run'], self._run)
        if converted:
            runner.logger.warning(converted)
        if self._resumed['sampler'] is not None:
            runner.train_dataloader.sampler.load_state_dict(self._resumed['sampler'])
        if self._resumed['buffers'] and not converted:
            buffers = self._resumed['buffers'][runner.rank]
            unwrap(runner.model).load_state_dict(buffers, strict=False)
        self._resumed = None

    def gather_before_save(self, runner: Runner) -> None:
        """Collects the buffers of all ranks; every rank comes here."""
        if runner.world_size == 1:
            return
        parameters = {name for name, _ in unwrap(runner.model).named_parameters()}
        own = {
            name: value.cpu()
            for name, value in unwrap(runner.model).state_dict().items()
            if name not in parameters
        }
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
    def _warn_of_settings(runner: Runner, checkpoint: dict) -> None:
        """Says which settings are others than those that the run began with."""
        # MMEngine writes no config that cannot be read, but a file may be another's
        with suppress(DataError):
            former = embedded_config(checkpoint, str(runner._load_from))
            for line in compare_settings(former, runner.cfg):
                runner.logger.warning(line)

    @staticmethod
    def _warn_of_accumulation(runner: Runner) -> None:
        """Says where gradients that wait for more are lost in a resume."""
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
                    f'{what}: gradients that wait then are in no checkpoint, so that a '
                    'resumed run is not exact. Set one that divides both, or another '
                    'interval.'
                )
