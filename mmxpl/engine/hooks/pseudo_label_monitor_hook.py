"""Scalars and pictures of the pseudo-labels during training."""

import os.path as osp

import numpy as np
import torch
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from torch import Tensor

from mmxpl.evaluation.label_quality import HiddenTruth, label_facts
from mmxpl.pseudo_labels import PseudoLabelBank
from mmxpl.registry import HOOKS
from mmxpl.structures import AVDataSample
from mmxpl.utils.checks import check_not_negative, check_positive
from mmxpl.visualization import (
    contact_sheet,
    load_frame,
    pseudo_label_strip,
    read_picture,
    reliability_histogram,
    write_picture,
)

from ..resume.checkpoint_hook import find_hook
from .cross_pseudo_label_hook import CrossPseudoLabelHook
from .visualization_hook import check_visualizer, safe_name


@HOOKS.register_module()
class PseudoLabelMonitorHook(Hook):
    """Logs sharpness, agreement, reliability and, with ``truth``, quality of labels.

    It reads the bank of :class:`CrossPseudoLabelHook` before each epoch with
    pseudo-labels and after the last one, and writes to every visualization backend. The
    step is the number of finished epochs, as for validation scores. Scalars, each also
    as ``pseudo_label/selected/...`` for the clips that the epoch draws from:

    - ``pseudo_label/agreement``, ``.../<name>_sharpness``, ``.../<name>_area``: see
      :func:`mmxpl.evaluation.label_quality.label_facts`;
    - ``pseudo_label/reliability``: what the curriculum ranks by;
    - ``pseudo_label/selected_fraction``: share of the clips that is drawn from;
    - with ``truth``, ``pseudo_label/<name>_soft_iou``, ``.../<name>_CIoU@0.5_adaptive``
      (per cent) and ``.../true_area``: see
      :func:`mmxpl.evaluation.label_quality.label_quality`.

    Pictures: ``pseudo_labels``, the labels of the same few clips every time, and
    ``reliability``, a histogram of all and of the selected clips.

    Training is bit for bit the same with and without this hook and its ``truth``, which
    is for research on data whose annotations were hidden on purpose and never reaches a
    loss.

    Args:
        truth (dict, optional): config of a data set of the unlabeled clips *with*
            annotations (``labeled=True``); see
            :class:`mmxpl.evaluation.label_quality.HiddenTruth`.
        num_clips (int): clips in the picture, spread evenly over the unlabeled set; 0
            for no pictures.
    """

    # after CrossPseudoLabelHook has scored and ranked the clips
    priority = 'BELOW_NORMAL'

    def __init__(self, truth: dict | None = None, num_clips: int = 4) -> None:
        check_not_negative(num_clips=num_clips)
        self.truth_cfg, self.num_clips = truth, num_clips
        self.truth: HiddenTruth | None = None
        self._trained = False

    @master_only
    def before_train(self, runner: Runner) -> None:
        """Reads the hidden annotations.

        Raises a DataError if they are of no unlabeled clip, and a TypeError if the
        runner's visualizer cannot draw samples.
        """
        if self.num_clips:
            check_visualizer(runner, 'num_clips=0 of PseudoLabelMonitorHook.')
        if self.truth_cfg is not None:
            unlabeled = runner.train_dataloader.dataset.datasets[1]
            self.truth = HiddenTruth(self.truth_cfg, unlabeled.sample_ids)

    def before_train_epoch(self, runner: Runner) -> None:
        """Logs the labels before the epoch."""
        self._trained = True
        self._log(runner)

    def after_train(self, runner: Runner) -> None:
        """Logs the final labels, unless nothing was trained."""
        if self._trained:
            self._log(runner)

    @master_only
    def _log(self, runner: Runner) -> None:
        """Writes numbers and pictures, once every clip has a label."""
        if runner.iter != runner.epoch * len(runner.train_dataloader):
            return  # resumed or stopped within an epoch
        hook = _labels_of(runner, self)
        bank = hook.bank
        if not bank.is_complete:
            return
        selected = torch.zeros(len(bank), dtype=torch.bool)
        selected[hook.sampler.selected()] = True
        reliability = bank.reliability()
        # in chunks, so that memory stays flat
        parts = [
            label_facts(some.float(), bank.names) for some in bank.labels.split(65536)
        ]
        facts = {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
        scalars = _means({**facts, 'reliability': reliability}, selected)
        scalars['pseudo_label/selected_fraction'] = float(selected.float().mean())
        if self.truth is not None:
            quality = self.truth.judge(bank.labels, bank.names)
            scalars.update(_means(quality, selected[self.truth.rows]))
        runner.visualizer.add_scalars(scalars, step=runner.epoch)
        said = ', '.join(
            f'{key.removeprefix("pseudo_label/")} {value:.3f}'
            for key, value in scalars.items()
            if '/selected/' not in key
        )
        MMLogger.get_current_instance().info(
            f'Pseudo-labels after {runner.epoch} epochs: {said}'
        )
        if self.num_clips:
            histogram = reliability_histogram(reliability, selected)
            runner.visualizer.add_image('reliability', histogram, runner.epoch)
            sheet = self._sheet(runner, bank)
            runner.visualizer.add_image('pseudo_labels', sheet, runner.epoch)

    def _sheet(self, runner: Runner, bank: PseudoLabelBank) -> np.ndarray:
        """Draws the labels of the same clips every time, RGB uint8."""
        rows = []
        for index in _spread(self.num_clips, bank).tolist():
            # not by the pipeline: that could draw random numbers
            info = runner.train_dataloader.dataset.datasets[1].get_data_info(index)
            sample = AVDataSample(
                metainfo=dict(sample_id=info['sample_id'], localizers=bank.names),
                pseudo_label=bank.labels[index],
            )
            frame = read_picture(info['img_path'])
            rows.append(runner.visualizer.draw(frame, sample, draw_pseudo_label=True))
        return contact_sheet(rows, padding=4)


def _spread(count: int, bank: PseudoLabelBank) -> Tensor:
    """Positions of a few clips, spread evenly over the bank."""
    return torch.linspace(0, len(bank) - 1, min(count, len(bank))).long()


def _labels_of(runner: Runner, reader: Hook) -> CrossPseudoLabelHook:
    """Finds the hook that makes the labels for one that reads them."""
    hook = find_hook(runner, CrossPseudoLabelHook)
    if hook is None:
        raise TypeError(
            f'{type(reader).__name__} reads the bank of CrossPseudoLabelHook: add that '
            'hook as default_hooks.pseudo_label, or remove this one.'
        )
    return hook


def _means(facts: dict[str, Tensor], selected: Tensor) -> dict[str, float]:
    """Averages (K,) facts over all clips and over the selected ones, if any."""
    parts = {'pseudo_label': slice(None)}
    if selected.any():
        parts['pseudo_label/selected'] = selected
    return {
        f'{name}/{key}': float(values[rows].mean())
        for name, rows in parts.items()
        for key, values in facts.items()
    }


@HOOKS.register_module()
class PseudoLabelStripHook(Hook):
    """Writes one strip per clip to ``work_dir/pseudo_labels/ID.png``.

    A strip shows a clip's labels of both localizers after each epoch with labels. It
    is rewritten after every epoch; the labels shown are saved in checkpoints.

    Args:
        num_clips (int): clips shown, spread evenly over the unlabeled set.
        max_panels (int): panels of a strip, spread evenly over the epochs.
    """

    # after the bank was updated, before the checkpoint is written
    priority = 'BELOW_NORMAL'
    CHECKPOINT_KEY = 'pseudo_label_strips'

    def __init__(self, num_clips: int = 4, max_panels: int = 6) -> None:
        check_not_negative(num_clips=num_clips)
        check_positive(max_panels=max_panels)
        self.num_clips, self.max_panels = num_clips, max_panels
        self.visits: list[int] = []
        self.labels: list[torch.Tensor] = []  # each (num_clips, M, h, w)

    def after_train_epoch(self, runner: Runner) -> None:
        """Keeps the labels of the epoch and draws the strips."""
        bank = _labels_of(runner, self).bank
        if bank.labels is None:
            return
        index = _spread(self.num_clips, bank)
        self.labels.append(bank.lookup(index))
        self.visits.append(int(bank.visits[index].max()))
        self._draw(runner, index.tolist(), bank.names)

    @master_only
    def _draw(self, runner: Runner, index: list[int], names: list[str]) -> None:
        dataset = runner.train_dataloader.dataset.datasets[1]
        panels = min(self.max_panels, len(self.visits))
        shown = torch.linspace(0, len(self.visits) - 1, panels).round().long().tolist()
        for place, clip in enumerate(index):
            sample = dataset[clip]['data_samples']
            maps = torch.stack([self.labels[n][place] for n in shown], dim=1)
            strip = pseudo_label_strip(
                load_frame(sample),
                dict(zip(names, maps, strict=True)),
                [self.visits[n] for n in shown],
                title=sample.sample_id,
            )
            name = f'{safe_name(sample.sample_id)}.png'
            write_picture(strip, osp.join(runner.work_dir, 'pseudo_labels', name))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Adds the labels shown."""
        checkpoint[self.CHECKPOINT_KEY] = dict(visits=self.visits, labels=self.labels)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Restores the labels shown."""
        if runner._resume and self.CHECKPOINT_KEY in checkpoint:
            state = checkpoint[self.CHECKPOINT_KEY]
            self.visits = list(state['visits'])
            self.labels = [labels.cpu() for labels in state['labels']]
