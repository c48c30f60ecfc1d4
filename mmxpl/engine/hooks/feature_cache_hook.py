"""Check that cached features belong to the learner's encoders."""

from collections.abc import Iterator
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmxpl.datasets.transforms import LoadFeatures
from mmxpl.models.features import encoder_of, weights_digest
from mmxpl.registry import HOOKS
from mmxpl.utils import DataError


@HOOKS.register_module()
class FeatureCacheHook(Hook):
    """Makes sure that cached features are of the weights that the learner has.

    Where data sets read features (:class:`mmxpl.datasets.LoadFeatures`), every encoder
    must be frozen and have the weights that the cache names, whether they come from
    ``init_cfg`` or from a checkpoint. Elsewhere it does nothing.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Checks the training's data.

        Args:
            runner (Runner): the runner.

        Raises:
            DataError: If features are of other encoders.
        """
        _check(runner, runner.train_dataloader.dataset)
        if runner.val_loop is not None:
            _check(runner, runner.val_loop.dataloader.dataset)

    def before_test(self, runner: Runner) -> None:
        """Checks the test's data, see :meth:`before_train`."""
        _check(runner, runner.test_loop.dataloader.dataset)

    def before_val(self, runner: Runner) -> None:
        """Checks the validation's data, see :meth:`before_train`."""
        if runner._train_loop is None or isinstance(runner._train_loop, dict):
            _check(runner, runner.val_loop.dataloader.dataset)


def _check(runner: Runner, dataset: Any) -> None:
    """Compares the caches that a data set reads with the learner."""
    model = runner.model
    learner = model.module if is_model_wrapper(model) else model
    seen = set()
    for step in _feature_steps(dataset):
        cache = step.cache
        if cache is None or cache.folder in seen:
            continue
        seen.add(cache.folder)
        manifest = cache.manifest
        if set(manifest) != set(learner.names):
            raise DataError(
                f'{cache.folder} holds features of the localizers {sorted(manifest)}, '
                f'the model has {sorted(learner.names)}. Compute them again (python '
                'tools/dataset_converters/build_cache.py CONFIG).'
            )
        for name, kinds in manifest.items():
            for kind, entry in kinds.items():
                encoder = encoder_of(learner, name, kind)
                if weights_digest(encoder) != entry['settings']['weights']:
                    raise DataError(
                        f"{cache.folder}: the features of localizer '{name}' "
                        f'({kind}) were computed with other weights than its encoder '
                        'has. Compute them again (python '
                        'tools/dataset_converters/build_cache.py CONFIG), or load the '
                        'weights that they are of.'
                    )


def _feature_steps(dataset: Any) -> Iterator[LoadFeatures]:
    """Finds the transforms that read features, through wrappers."""
    for part in getattr(dataset, 'datasets', ()):
        yield from _feature_steps(part)
    if hasattr(dataset, 'dataset'):
        yield from _feature_steps(dataset.dataset)
    steps = getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
    yield from (step for step in steps if isinstance(step, LoadFeatures))
