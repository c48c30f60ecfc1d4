"""Pictures of how the pseudo-labels of a few clips change over a training."""

import os.path as osp

import torch
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmxpl.registry import HOOKS
from mmxpl.visualization import load_frame, pseudo_label_strip, write_picture

from .cross_pseudo_label_hook import CrossPseudoLabelHook
from .visualization_hook import safe_name


@HOOKS.register_module()
class PseudoLabelStripHook(Hook):
    """Writes one strip per clip to ``work_dir/pseudo_labels/ID.png``.

    A strip shows a clip's labels of both localizers after each epoch in which
    there were any. It is written anew after every epoch, so an interrupted run
    leaves what it has; the labels shown travel in the checkpoint.

    Args:
        num_clips (int): clips shown, spread evenly over the unlabeled set.
            Defaults to 4.
        max_panels (int): panels of a strip, spread evenly over the epochs.
            Defaults to 6.
    """

    # after the bank was updated, before the checkpoint is written
    priority = 'BELOW_NORMAL'
    CHECKPOINT_KEY = 'pseudo_label_strips'

    def __init__(self, num_clips: int = 4, max_panels: int = 6) -> None:
        self.num_clips, self.max_panels = num_clips, max_panels
        self.visits: list[int] = []
        self.labels: list[torch.Tensor] = []  # each (num_clips, M, h, w)

    def after_train_epoch(self, runner: Runner) -> None:
        """Remembers the labels of the epoch and draws the strips."""
        bank = _find_bank(runner)
        if bank.labels is None:
            return
        count = min(self.num_clips, len(bank))
        index = torch.linspace(0, len(bank) - 1, count).long()
        self.labels.append(bank.lookup(index))
        self.visits.append(int(bank.visits[index].max()))
        self._draw(runner, index, bank.names)

    @master_only
    def _draw(self, runner: Runner, index: torch.Tensor, names: list[str]) -> None:
        """Writes the strips."""
        dataset = runner.train_dataloader.dataset.datasets[1]
        panels = min(self.max_panels, len(self.visits))
        shown = torch.linspace(0, len(self.visits) - 1, panels).round().long().tolist()
        for place, clip in enumerate(index.tolist()):
            sample = dataset[clip]['data_samples']
            maps = torch.stack([self.labels[n][place] for n in shown], dim=1)
            strip = pseudo_label_strip(
                load_frame(sample),
                dict(zip(names, maps, strict=True)),
                [self.visits[n] for n in shown],
                title=sample.sample_id,
            )
            name = safe_name(sample.sample_id)
            write_picture(
                strip, osp.join(runner.work_dir, 'pseudo_labels', f'{name}.png')
            )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Adds the labels shown."""
        checkpoint[self.CHECKPOINT_KEY] = dict(visits=self.visits, labels=self.labels)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Restores the labels shown."""
        if runner._resume and self.CHECKPOINT_KEY in checkpoint:
            state = checkpoint[self.CHECKPOINT_KEY]
            self.visits = list(state['visits'])
            self.labels = [labels.cpu() for labels in state['labels']]


def _find_bank(runner: Runner):
    """Finds the bank of the run."""
    for hook in runner.hooks:
        if isinstance(hook, CrossPseudoLabelHook):
            return hook.bank
    raise TypeError(
        'PseudoLabelStripHook draws what CrossPseudoLabelHook remembers: add that '
        'hook as default_hooks.pseudo_label, or remove this one.'
    )
