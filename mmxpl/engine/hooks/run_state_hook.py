"""Keeps in checkpoints what a run is, and where its sampler stands."""

from contextlib import suppress

from mmengine.dist import all_gather_object
from mmengine.hooks import CheckpointHook, Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from mmxpl.engine.embedded_config import embedded_config
from mmxpl.engine.resumed_settings import compare_settings
from mmxpl.engine.run_state import compare_runs, describe_run
from mmxpl.engine.training_summary import short_schedules
from mmxpl.registry import HOOKS
from mmxpl.utils.errors import DataError


@HOOKS.register_module()
class RunStateHook(Hook):
    """Refuses to resume what is another run, and restores the sampler.

    Seed, lists of clips, annotations, composition of the batches and number of
    processes are written into every checkpoint and compared at a resume, see
    :func:`mmxpl.engine.run_state.compare_runs`; of other settings that differ, see
    :func:`mmxpl.engine.resumed_settings.compare_settings`, it warns. In mid-epoch
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
            _model(runner).load_state_dict(buffers, strict=False)
        self._resumed = None

    def gather_before_save(self, runner: Runner) -> None:
        """Collects the buffers of all ranks; every rank comes here."""
        if runner.world_size == 1:
            return
        parameters = {name for name, _ in _model(runner).named_parameters()}
        own = {
            name: value.cpu()
            for name, value in _model(runner).state_dict().items()
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


def _model(runner: Runner) -> nn.Module:
    """The model without what makes it distributed."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
