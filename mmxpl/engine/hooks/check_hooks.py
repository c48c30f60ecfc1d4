"""Checks of the data before training, and of losses and weights during it."""

import math
from collections.abc import Iterator
from inspect import Parameter
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner
from torch import nn

from mmxpl.datasets import check_disjoint, collect_ids
from mmxpl.datasets.media_cache import BUILD
from mmxpl.datasets.splits import SPLITS
from mmxpl.datasets.transforms import LoadAudio, LoadFeatures, LoadFrame
from mmxpl.models.features import encoder_of, weights_digest
from mmxpl.registry import HOOKS, find_class
from mmxpl.utils import DataError, hash_ids
from mmxpl.utils.checks import nonfinite_entries
from mmxpl.utils.config_overrides import find_arguments
from mmxpl.utils.nested import walk
from mmxpl.utils.parallel import unwrap

from ..resume.checkpoint_hook import last_good


@HOOKS.register_module()
class DataLeakHook(Hook):
    """Refuses to train if a clip is in two parts of the data.

    Labeled, unlabeled, validation and test clips must all differ. The number and
    the fingerprint of the ids of each part are logged, so that results can be
    traced to their lists. Of the test split only the lists are read: its media
    need not exist for training.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Logs number and hash of the ids.

        Raises a DataError if two parts share clips.
        """
        val_loop = runner.val_loop
        parts = collect_ids(
            train=runner.train_dataloader,
            val=None if val_loop is None else val_loop.dataloader,
            # the property would build the test loop, media and all
            test=runner._test_dataloader,
        )
        for name, ids in parts.items():
            runner.logger.info(f'{name}: {len(ids)} clips, id hash {hash_ids(ids)}')
        check_disjoint(parts)


# arguments of transforms that decide what a model is trained for
_LEARNT = {LoadFrame: 'size', LoadAudio: 'duration'}


@HOOKS.register_module()
class EncoderInputHook(Hook):
    """Checks that the data fit the encoders.

    - The sample rate of the sounds must equal the ``sample_rate`` of every encoder
      and front end that has one.
    - If data sets read cached features (:class:`mmxpl.datasets.LoadFeatures`), every
      encoder must be frozen and have the weights that the cache was computed with.
    - Frames of another size, or sounds of another length, than those of the training
      are warned of.
    """

    priority = 'VERY_HIGH'

    def before_run(self, runner: Runner) -> None:
        """Warns if validation or test read other sizes or lengths than the training."""
        keys = [f'{split}_dataloader' for split in SPLITS]
        learnt: dict[str, tuple[str, Any]] = {}
        for path, node in walk({key: runner.cfg.get(key) for key in keys}):
            name = _LEARNT.get(find_class(node))
            if name is None:
                continue
            value = node.get(name, find_arguments(node)[name].default)
            if value is Parameter.empty:
                continue  # refused where it is built
            if name == 'size':
                value = (value, value) if isinstance(value, int) else tuple(value)
            key = '.'.join([*path, name])
            if path[0] == keys[0]:
                learnt[name] = key, value
            elif learnt.get(name, (key, value))[1] != value:
                where, own = learnt[name]
                runner.logger.warning(
                    f'{key} is {value}, but {where} is {own}: the model is scored on '
                    f'another {name} than it learns. Set them equal, unless you mean '
                    'it.'
                )

    def before_train(self, runner: Runner) -> None:
        """Raises a DataError of another sample rate, or features of other encoders."""
        _check(runner, runner.train_dataloader.dataset)
        if runner.val_loop is not None:
            _check(runner, runner.val_loop.dataloader.dataset)

    def before_val(self, runner: Runner) -> None:
        """Checks the data as :meth:`before_train` does."""
        if not isinstance(runner._train_loop, BaseLoop):  # no training is built
            _check(runner, runner.val_loop.dataloader.dataset)

    def before_test(self, runner: Runner) -> None:
        """Checks the data as :meth:`before_train` does."""
        _check(runner, runner.test_loop.dataloader.dataset)


def _check(runner: Runner, dataset: Any) -> None:
    """Compares the data that a data set reads with the learner."""
    learner = unwrap(runner.model)
    for step in {repr(step): step for step in _steps(dataset)}.values():
        if isinstance(step, LoadFeatures):
            if step.cache is not None:
                _check_features(step, learner)
            step = step.audio
        if not isinstance(step, LoadAudio):
            continue
        for name, module in learner.named_modules():
            rate = getattr(module, 'sample_rate', step.sample_rate)
            if isinstance(rate, int) and rate != step.sample_rate:
                raise DataError(
                    f'sample_rate: sounds are read at {step.sample_rate} Hz, model.'
                    f'{name} is for {rate} Hz. Set sample_rate of LoadAudio to {rate}.'
                )


def _check_features(step: LoadFeatures, learner: nn.Module) -> None:
    folder, manifest = step.cache.folder, step.cache.manifest
    if set(manifest) != set(learner.names):
        raise DataError(
            f'{folder} holds features of the localizers {sorted(manifest)}, the model '
            f'has {sorted(learner.names)}. Compute them again ({BUILD}).'
        )
    for name, kinds in manifest.items():
        for kind, entry in kinds.items():
            encoder = encoder_of(learner, name, kind)
            if weights_digest(encoder) != entry['settings']['weights']:
                raise DataError(
                    f"{folder}: the features of localizer '{name}' ({kind}) were "
                    'computed with other weights than its encoder has. Compute them '
                    f'again ({BUILD}), or load those weights.'
                )


def _steps(dataset: Any) -> Iterator[Any]:
    """Yields the transforms of a data set and of those that it wraps."""
    for part in getattr(dataset, 'datasets', ()):
        yield from _steps(part)
    if hasattr(dataset, 'dataset'):
        yield from _steps(dataset.dataset)
    yield from getattr(getattr(dataset, 'pipeline', None), 'transforms', ())


_REMEDY = 'Look at these clips, lower the learning rate, and go on with --resume.'


@HOOKS.register_module()
class InvalidLossHook(Hook):
    """Raises at the first loss that is NaN or infinite and names the clips.

    Weights and states of the optimizer, which can be NaN after a finite loss, are
    checked before they are saved, so that the last checkpoint is always usable.
    """

    # before anything is logged or saved
    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._batch = ''

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs=None
    ) -> None:
        """Raises a DataError if a value that the learner returns is NaN or infinite."""
        samples = (data_batch or {}).get('data_samples', ())
        self._batch = ', '.join(sample.sample_id for sample in samples)
        values = {k: float(torch.as_tensor(v).detach()) for k, v in outputs.items()}
        bad = [f'{k} is {v}' for k, v in values.items() if not math.isfinite(v)]
        if bad:
            raise DataError(
                f'Iteration {runner.iter + 1}: {", ".join(bad)}. The batch '
                f'was {self._batch}. {last_good(runner)} {_REMEDY}'
            )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Raises a DataError if a value of weights or optimizer is NaN or infinite."""
        kept = {key: checkpoint.get(key) for key in ('state_dict', 'optimizer')}
        bad = list(nonfinite_entries(kept))
        if bad:
            raise DataError(
                f'Iteration {checkpoint["meta"]["iter"]}: {len(bad)} tensors, such as '
                f'{bad[0]}, are NaN or infinite, and are not saved. The last '
                f'batch was {self._batch}. {last_good(runner)} {_REMEDY}'
            )
