"""Builds the Runner of a config, on any machine."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.hooks import CheckpointHook
from mmengine.logging import MMLogger
from mmengine.registry import RUNNERS
from mmengine.runner import BaseLoop, Runner, find_latest_checkpoint
from torch import nn

from mmxpl.compat import ensure_torchvision, ensure_yapf
from mmxpl.registry import register_all_modules
from mmxpl.utils.checkpoint import load_weights_only
from mmxpl.utils.config_types import check_settings
from mmxpl.utils.errors import DataError
from mmxpl.utils.parallel import unwrap

from .dist import explain_lost_rank, use_cpu_dist
from .optim import use_amp_everywhere
from .resume.checkpoint_hook import find_hook
from .training_summary import describe_result, describe_training

# default hooks of MMEngine, which itself drops those that are None
_OWN_HOOKS = {
    'checkpoint',
    'logger',
    'param_scheduler',
    'runtime_info',
    'sampler_seed',
    'timer',
}


class CheckedRunner(Runner):
    """MMEngine's Runner with a short console, which writes its config late.

    Environment, config and the order of hooks, hundreds of lines, go to the log file
    alone; before training the console says what is learnt from what.

    MMEngine writes the config when the runner is made, over that of the run which a
    refused resume would have gone on from. Here all checks are passed first, those of
    the first iteration as well.
    """

    _config_is_written = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._quiet: list[tuple[logging.Handler, int]] = []
        try:
            super().__init__(*args, **kwargs)
        finally:
            for handler, level in self._quiet:
                handler.setLevel(level)

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Builds the logger, whose console shows warnings alone until all is built."""
        logger = super().build_logger(*args, **kwargs)
        self._quiet = [
            (handler, handler.level)
            for handler in logger.handlers
            if not isinstance(handler, logging.FileHandler)
        ]
        for handler, level in self._quiet:
            handler.setLevel(max(level, logging.WARNING))
        return logger

    def dump_config(self) -> None:
        """Does nothing in the constructor; :meth:`call_hook` writes the config."""

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """Calls the hooks; describes a training before it and its result after it.

        After the first iteration, or at the end if none was left, it writes the config.
        With ``resume='auto'``, which tools/train.py sets, a run without a checkpoint
        starts from its ``load_from``.
        """
        # a resumed training may begin with a validation that it still owes
        first = ('after_val_iter', 'after_test_iter')
        if isinstance(self._train_loop, BaseLoop):
            first = ('after_train_iter', 'after_train')
        if fn_name in first and not self._config_is_written:
            self._config_is_written = True
            file = Path(self.work_dir, Path(self.cfg.filename or '').name)
            # a test leaves that of the training in the same directory
            if isinstance(self._train_loop, BaseLoop) or not file.is_file():
                super().dump_config()
        if fn_name == 'before_run':
            self._check_metrics()
            self._check_save_best()
        start = None
        if self._resume == 'auto':
            start, self._resume, self._load_from = self._load_from, True, None
        super().call_hook(fn_name, **kwargs)
        # the checkpoint hook chooses what to resume from, or else MMEngine
        if start and not (self._load_from or find_latest_checkpoint(self.work_dir)):
            self._resume, self._load_from = False, start
        if fn_name == 'before_train':
            self.logger.info(describe_training(self))
        if fn_name == 'after_train' and (result := describe_result(self)):
            self.logger.info(result)

    def train(self) -> nn.Module:
        """Trains; a DataError says that another process of the run is lost."""
        if self.distributed:
            timeout = self.cfg.env_cfg.dist_cfg.timeout
            timeout = "PyTorch's own time" if timeout is None else f'{timeout} s'
            self.logger.info(
                f'{self.world_size} processes; one that does not answer for {timeout} '
                '(env_cfg.dist_cfg.timeout) ends the run.'
            )
        with _lost_ranks_named():
            return super().train()

    def test(self) -> dict:
        """Tests; a DataError says that another process of the run is lost."""
        with _lost_ranks_named():
            return super().test()

    def _check_save_best(self) -> None:
        """Refuses a ``save_best`` that the validation is known not to compute."""
        metrics = getattr(getattr(self._val_loop, 'evaluator', None), 'metrics', ())
        known = getattr(unwrap(self.model), 'names', None)
        named = all(hasattr(one, 'score_names') for one in metrics)
        if known is None or not metrics or not named:
            return
        names = [
            '/'.join(filter(None, (metric.prefix, model, score)))
            for metric in metrics
            for model in metric.models or (*known, 'ens')
            for score in metric.score_names
        ]
        hook = find_hook(self, CheckpointHook)
        for key in getattr(hook, 'key_indicators', ()):
            # also of a group, ROW/KEY=VALUE/NAME, and of ROW+ogl
            parts = [part.partition('+')[0] for part in key.split('/')]
            plain = '/'.join(part for part in parts if '=' not in part)
            if key != 'auto' and plain not in names:
                near = get_close_matches(plain, names, 4, 0)
                raise DataError(
                    f"save_best of the checkpoint hook is '{key}', which is no score "
                    f'of the validation, as {", ".join(near)} are. Correct it, or the '
                    'rules of val_evaluator.'
                )

    def _check_metrics(self) -> None:
        """Refuses metrics of models that the learner does not predict."""
        known = getattr(unwrap(self.model), 'names', None)
        if known is None:
            return
        known = [*known, 'ens']
        for kind, loop in (('val', self._val_loop), ('test', self._test_loop)):
            evaluator = getattr(loop, 'evaluator', None)
            for metric in getattr(evaluator, 'metrics', ()):
                models = getattr(metric, 'models', None) or ()
                unknown = sorted(map(str, set(models) - {*known}))
                if unknown:
                    raise DataError(
                        f'{kind}_evaluator: models of {type(metric).__name__} has '
                        f'{", ".join(unknown)}, and the model predicts '
                        f'{", ".join(known)}. Choose out of these.'
                    )


@contextmanager
def _lost_ranks_named() -> Iterator[None]:
    """Turns the error of a process that has lost another one into a DataError."""
    try:
        yield
    except RuntimeError as error:
        if cause := explain_lost_rank(error):
            raise DataError(cause) from error
        raise


def build_runner(cfg: Config) -> Runner:
    """Builds a Runner, with what the machine needs and safe checkpoints.

    In this order: every module of mmxpl is imported, so that one that cannot be
    shows its traceback; what several processes may not import at once is waited
    for; torchvision, which MMEngine imports where it is installed, can be imported;
    checkpoints load with ``weights_only=True``; a distributed run without GPUs gets a
    gloo process group; mixed precision holds wherever a localizer is used; the config
    is written once the run has begun, in MMEngine's own layout; a hook of
    ``default_hooks`` that is None is off. ``cfg`` is changed in place; its
    ``runner_type`` may name another class of runner.

    Raises a DataError if a setting has a value of a wrong type.
    """
    register_all_modules(init_default_scope=False)
    ensure_yapf()
    # without yapf, which takes 0.4 s each of the five times that a run writes its
    # config; Config.fromfile drops its argument of this name
    object.__setattr__(cfg, '_format_python_code', False)
    ensure_torchvision()
    load_weights_only()
    check_settings(cfg)
    use_cpu_dist(cfg)
    use_amp_everywhere(cfg)
    drop_hooks(cfg)
    return RUNNERS.build(cfg) if 'runner_type' in cfg else CheckedRunner.from_cfg(cfg)


def drop_hooks(cfg: Config) -> None:
    """Drops those of ``default_hooks`` that are None, in place.

    MMEngine does so with the hooks that it knows, and asserts that others are not None.
    """
    hooks = cfg.get('default_hooks') or {}
    off = [name for name in hooks if hooks[name] is None and name not in _OWN_HOOKS]
    for name in off:
        del hooks[name]
