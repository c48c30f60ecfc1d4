"""Calibration of thresholds by the area of annotations."""

import torch
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from torch import Tensor
from torch.utils.data import Subset

from mmxpl.datasets.transforms import RasterizeTargets
from mmxpl.registry import HOOKS
from mmxpl.utils import DataError
from mmxpl.utils.checks import check_positive
from mmxpl.utils.parallel import gather_rows, ordered_pass, unwrap

_CHECKPOINT_KEY = 'area_calibration'


@HOOKS.register_module()
class AreaCalibrationHook(Hook):
    """Calibrates the thresholds of localizers before validation and checkpoints.

    Cross-entropy trains maps to be probabilities, few of which reach 0.5 where a
    localizer is uncertain, so that a rule that cuts at 0.5 (``fixed``) finds
    foregrounds that are too small. At the end of an epoch this hook moves the
    ``threshold`` of each :class:`mmxpl.models.AVLocalizer` such that, over validation
    clips, the share of cells at 0.5 or more is ``area_ratio`` times the mean area of
    the annotated training maps. Annotations of the validation clips are not read;
    training clips are not used, since a localizer is more certain of them. The order of
    the cells of a map does not change, nor do scores of rules that are relative to a
    map. Scores of ``fixed`` should be taken from the test split, since the validation
    split sets the threshold. Not part of the XPL paper.

    Before the next epoch the thresholds of the training are restored. Epochs without
    validation, except the last one, are not calibrated; neither are checkpoints within
    an epoch.

    Args:
        area_ratio (float): covered area relative to the annotated area. Above 1, since
            intersection over union is highest if uncertain cells are kept.
        num_clips (int): number of validation clips and of annotated training clips that
            are measured, the first ones of each set.
        enable (bool): whether to calibrate.
    """

    # before labels are made and before checkpoints are written
    priority = 'ABOVE_NORMAL'

    def __init__(
        self, area_ratio: float = 1.4, num_clips: int = 300, enable: bool = True
    ) -> None:
        check_positive(area_ratio=area_ratio, num_clips=num_clips)
        self.area_ratio, self.num_clips, self.enable = area_ratio, num_clips, enable
        # thresholds of the training by localizer, while calibrated ones are set
        self._trained: dict[str, float] = {}

    def before_train(self, runner: Runner) -> None:
        """Measures the area of the annotations.

        Raises a TypeError if a localizer has no threshold, the labeled set's pipeline
        draws no annotations, or there are no validation clips, and a DataError if the
        wanted area is not in (0, 1).
        """
        if not self.enable:
            return
        self.learner = unwrap(runner.model)
        if any(not hasattr(x, 'calibration') for x in self.learner.localizers.values()):
            raise TypeError(
                'AreaCalibrationHook sets the thresholds of AVLocalizers, and a '
                'localizer of this learner has none: remove the hook.'
            )
        if runner.val_loop is None:
            raise TypeError(
                'AreaCalibrationHook sets thresholds by the maps of validation clips, '
                'and this training has none: set val_dataloader, or remove the hook.'
            )
        labeled = runner.train_dataloader.dataset.datasets[0]
        count = min(self.num_clips, len(labeled))
        # not by the pipeline: that decodes media and could draw random numbers
        steps = getattr(getattr(labeled, 'pipeline', None), 'transforms', ())
        draw = next((x for x in steps if isinstance(x, RasterizeTargets)), None)
        if draw is None:
            raise TypeError(
                'AreaCalibrationHook measures what RasterizeTargets draws in the '
                'pipeline of the labeled set, train_dataloader.dataset.datasets[0], '
                'which has no such step: add it, or remove the hook.'
            )
        infos = (labeled.get_data_info(k) for k in range(count))
        areas = [float(draw(info)['gt_map'].mean()) for info in infos]
        self.area = self.area_ratio * sum(areas) / count
        if not 0 < self.area < 1:
            raise DataError(
                f'AreaCalibrationHook: {self.area_ratio} times the mean coverage of '
                f'{count} annotated clips is {self.area:.2f}, which is no share of a '
                'frame. Set another area_ratio, or remove the hook.'
            )

    def before_train_epoch(self, runner: Runner) -> None:
        """Restores the thresholds of the training."""
        for name, threshold in self._trained.items():
            self.learner.localizers[name].calibration.data[0] = threshold
        self._trained = {}

    def after_train_epoch(self, runner: Runner) -> None:
        """Calibrates the thresholds if this epoch is validated or the last."""
        epoch, loop = runner.epoch + 1, runner.train_loop
        due = epoch == loop.max_epochs or epoch % loop.val_interval == 0
        if not (self.enable and due):
            return
        for name, shift in self._shifts(runner).items():
            calibration = self.learner.localizers[name].calibration.data
            self._trained[name] = calibration[0].item()
            # from log-odds to cosine, see AVLocalizer
            calibration[0] += shift * calibration[1].exp()
        moved = ', '.join(
            f'{name} {before:.3f} to {self.learner.localizers[name].calibration[0]:.3f}'
            for name, before in self._trained.items()
        )
        MMLogger.get_current_instance().info(
            f'Thresholds at which {self.area:.3f} of all cells are at 0.5 or more: '
            f'{moved}'
        )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Adds the thresholds of the training if calibrated ones are set."""
        if self._trained:
            checkpoint[_CHECKPOINT_KEY] = dict(self._trained)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keeps the thresholds of the training of a resumed run."""
        if runner._resume:
            self._trained = dict(checkpoint.get(_CHECKPOINT_KEY, {}))

    @torch.no_grad()
    def _shifts(self, runner: Runner) -> dict[str, float]:
        """Computes what is subtracted from the log-odds of each localizer."""
        loader = runner.val_loop.dataloader
        clips = Subset(loader.dataset, range(min(self.num_clips, len(loader.dataset))))
        logits: dict[str, list[Tensor]] = {name: [] for name in self.learner.names}
        training = self.learner.training
        self.learner.eval()
        # so that the training draws the same random numbers as without this hook
        with torch.random.fork_rng(devices=[]):
            for batch, count in ordered_pass(loader, clips):
                inputs = self.learner.data_preprocessor.prepare(batch)['inputs']
                for name, maps in self.learner.log_odds(inputs).items():
                    logits[name].append(maps[:count])
        self.learner.train(training)
        shifts = {}
        for name, parts in logits.items():
            values = gather_rows(torch.cat(parts)).flatten()
            # unlike torch.quantile of any number of values
            rank = min(int((1 - self.area) * len(values)), len(values) - 1)
            shifts[name] = values.kthvalue(rank + 1).values.item()
        return shifts


def restore_thresholds(checkpoint: dict) -> None:
    """Restores, in place, the thresholds of the training in a calibrated checkpoint."""
    for name, threshold in checkpoint.pop(_CHECKPOINT_KEY, {}).items():
        checkpoint['state_dict'][f'localizers.{name}.calibration'][0] = threshold
