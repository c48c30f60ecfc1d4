"""Hooks that refuse checkpoints of another model or run."""

from contextlib import suppress

from mmengine.dist import all_gather_object
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner, find_latest_checkpoint

from mmxpl.registry import HOOKS
from mmxpl.utils.checkpoint import embedded_config
from mmxpl.utils.errors import DataError
from mmxpl.utils.parallel import unwrap

from ..training_summary import short_schedules
from .compatibility import (
    check_optimizer,
    compare_runs,
    compare_settings,
    compare_weights,
    describe_run,
)

_FOR_RESUME = ('meta', 'message_hub', 'optimizer')


@HOOKS.register_module()
class CheckpointGuardHook(Hook):
    """Stops a run whose checkpoint does not fit its model.

    MMEngine loads the weights that fit and logs the rest, so that a run with the
    checkpoint of another model continues with random weights. This hook compares
    names and shapes before anything is loaded. It also stops a resume from a file
    that holds weights only, and keeps MMEngine from running a config that a
    checkpoint contains.

    Args:
        partial (bool): whether a checkpoint may fit in part, as in fine-tuning
            from another model; at least one weight must fit.
    """

    # before hooks that read their own entries from the checkpoint
    priority = 'VERY_HIGH'

    def __init__(self, partial: bool = False) -> None:
        self.partial = partial

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Raises a DataError if a checkpoint does not fit the model to be loaded."""
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
        if not runner._resume:
            return
        lacking = [key for key in _FOR_RESUME if key not in checkpoint]
        if lacking:
            raise DataError(
                f'{name} cannot be resumed from, it has no '
                f'{", ".join(lacking)}. To start from its weights set load_from '
                'and leave resume out.'
            )
        check_optimizer(runner.optim_wrapper, checkpoint['optimizer'], name)
        # MMEngine runs this text as a config, that is as a program, when it resumes
        if checkpoint['meta'].pop('config', None) is not None:
            runner.logger.warning(f'{name} contains a config, which is not read.')


def _checkpoint_name(runner: Runner) -> str:
    """Names the file that a runner is loading."""
    path = runner._load_from
    if path is None and runner._resume:
        path = find_latest_checkpoint(runner.work_dir)
    return f"checkpoint '{path}'" if path else 'the checkpoint'


@HOOKS.register_module()
class RunStateHook(Hook):
    """Refuses to resume the checkpoint of another run, and restores the sampler.

    Seed, lists of clips, annotations, composition of the batches and number of
    processes are written into every checkpoint and compared at a resume, see
    :func:`~.compatibility.compare_runs`; other settings that differ cause a warning,
    see :func:`~.compatibility.compare_settings`. Within an epoch the sampler's
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
        # of a run that is refused, no setting goes on
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
        if runner.world_size == 1:
            return
        model = unwrap(runner.model)
        parameters = {name for name, _ in model.named_parameters()}
        own = {
            name: value.cpu()
            for name, value in model.state_dict().items()
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
