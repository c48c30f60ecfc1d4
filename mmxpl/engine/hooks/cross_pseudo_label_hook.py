"""Cross pseudo-labeling: labels, bank and curriculum of a training run."""

import os.path as osp
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import BaseLoop, Runner
from torch import Tensor

from mmxpl.datasets.samplers import CurriculumSampler
from mmxpl.evaluation.maps import MapFiles, common_ids, open_maps
from mmxpl.pseudo_labels import (
    EXCHANGES,
    MEASURES,
    PseudoLabelBank,
    PseudoLabeler,
    exchange,
    score_labels,
)
from mmxpl.pseudo_labels.bank_file import bank_path, remove_copies
from mmxpl.registry import HOOKS
from mmxpl.structures import AVDataSample, invert_affine, visible_cells, warp
from mmxpl.utils.checks import check_share
from mmxpl.utils.errors import DataError
from mmxpl.utils.parallel import count_rows, gather_rows, ordered_pass, unwrap

from ..resume.checkpoint_hook import checkpoint_folder
from ..resume.work_dir import named_files

VIEWS = ('canonical', 'train')


@HOOKS.register_module()
class CrossPseudoLabelHook(Hook):
    """Cross pseudo-labeling of XPL (Guo et al., ICASSP 2024).

    - Warm-up: for ``train_cfg.warmup_epochs`` (see
      :class:`mmxpl.engine.ResumableTrainLoop`) there are no pseudo-labels.
    - Scoring pass: then every unlabeled clip gets its first label.
    - Every later epoch ranks the clips by reliability; the sampler's curriculum
      draws from a share of them that grows until the last epoch.
    - Every later iteration labels the unlabeled clips of the batch from their plain
      view, blends the labels into the bank (PL-EMA), exchanges them between the
      localizers and writes them into the data samples as ``pseudo_label``.

    The bank is equal on all ranks. It is an entry of its own in the checkpoint,
    which a published model does not have.

    Args:
        exchange (str): 'cross' (XPL), 'self' (self-training), 'intersection'
            (DMT's) or 'ensemble'; see :func:`mmxpl.pseudo_labels.exchange`.
        soft (bool): sharpened probabilities if True, else probabilities
            thresholded at 0.5.
        temperature (float, optional): T > 0 of the sharpening of soft labels; 1
            leaves the prediction as it is. Defaults to 0.5.
        momentum (float): weight of the past in the average over visits, in [0, 1);
            0 keeps the newest label only.
        reliability (Sequence[str]): measures that are multiplied to rank the
            clips.
        view (str): 'canonical' labels by a forward of the plain view in evaluation
            mode; 'train' by the training forward itself, warped back to the
            canonical frame, which costs nothing, but targets are then the labels
            of former visits.
        align_area (bool): whether the mean area of the labels is kept at that of
            the annotated maps seen so far; see
            :class:`mmxpl.pseudo_labels.AreaAlignment`.
        teacher_momentum (float, optional): in (0, 1); labels are made by an EMA
            teacher, which starts as a copy of the learner at the end of the warm-up
            and is updated after every iteration; see
            :class:`mmxpl.pseudo_labels.PseudoLabeler`. By default the learner
            makes the labels.
        min_confidence (float, optional): in (0, 1]; labels with a lower score (see
            :func:`mmxpl.pseudo_labels.score_labels`) have weight 0 in this
            iteration and count as a loss of zero in the mean, as in FixMatch (Sohn
            et al., NeurIPS 2020, eq. 4). The mean weight is logged as
            ``NAME.util_ratio``. By default all labels have weight 1.
        bank_dir (str, optional): folder of a local disk for the labels, which are
            then a memory-mapped file that the processes of a machine share, for
            sets too large for the memory. Each checkpoint has a copy of it in its
            folder, which is removed after the checkpoint. By default labels are in
            memory.
        init_from (str, optional): folder of ``ID.npy`` or an ``.npz`` of id to map in
            [0, 1] that another model made. Unlabeled clips of these ids begin with
            their map instead of the localizers' predictions, sharpened alike; what
            is uncertain in it ranks low if 'confidence' is in ``reliability``. By
            default all begin with predictions.
    """

    # after the sampler's epoch is set, before checkpoints are written
    priority = 'NORMAL'
    CHECKPOINT_KEY = PseudoLabelBank.CHECKPOINT_KEY

    def __init__(
        self,
        exchange: str = 'cross',
        soft: bool = True,
        temperature: float | None = None,
        momentum: float = 0.9,
        reliability: Sequence[str] = ('agreement',),
        view: str = 'canonical',
        align_area: bool = False,
        teacher_momentum: float | None = None,
        min_confidence: float | None = None,
        bank_dir: str | None = None,
        init_from: str | None = None,
    ) -> None:
        check_share(momentum=momentum)
        unknown = sorted(set(reliability) - set(MEASURES))
        if unknown or not reliability:
            raise ValueError(f'reliability is some of {MEASURES}, got {reliability}.')
        choices = dict(exchange=(exchange, EXCHANGES), view=(view, VIEWS))
        for name, (value, known) in choices.items():
            if value not in known:
                raise ValueError(f"{name} must be one of {known}, got '{value}'.")
        if min_confidence is not None and not 0 < min_confidence <= 1:
            raise ValueError(
                f'min_confidence must be in (0, 1] or None, got {min_confidence}.'
            )
        if view == 'train' and (teacher_momentum or min_confidence):
            raise ValueError(
                "view='train' labels with the training forward itself: "
                "teacher_momentum and min_confidence need view='canonical'."
            )
        self.bank_dir, self.init_from = bank_dir, init_from
        self._first_maps: MapFiles | None = None
        self.exchange, self.view, self.momentum = exchange, view, momentum
        self.reliability, self.min_confidence = reliability, min_confidence
        self.align_area = align_area
        if temperature is not None and not soft:
            MMLogger.get_current_instance().warning(
                f'CrossPseudoLabelHook: temperature={temperature} has no effect, since '
                'hard labels (soft=False) are not sharpened. Leave it out.'
            )
        self.labeler = PseudoLabeler(
            soft,
            0.5 if temperature is None else temperature,
            align_area,
            teacher_momentum,
        )
        self.bank: PseudoLabelBank | None = None
        self._resumed: dict | None = None

    def before_train(self, runner: Runner) -> None:
        """Creates the bank for the unlabeled set, or restores it."""
        self.learner = unwrap(runner.model)
        self.learner.writes_maps = self.view == 'train'
        loader = runner.train_dataloader
        self.sampler = loader.sampler
        if not isinstance(self.sampler, CurriculumSampler):
            raise TypeError(
                'CrossPseudoLabelHook needs train_dataloader.sampler to be a '
                f'CurriculumSampler, got {type(self.sampler).__name__}.'
            )
        if not self.sampler.unlabeled_per_batch:
            raise ValueError(
                'CrossPseudoLabelHook labels unlabeled clips, but the batches of the '
                'sampler have none: raise unlabeled_per_batch, or leave '
                'the hook out.'
            )
        self._read_schedule(runner.train_loop)
        self.unlabeled = loader.dataset.datasets[1]
        self.bank = PseudoLabelBank(
            self.unlabeled.sample_ids,
            self.learner.names,
            self.momentum,
            self.reliability,
            self.bank_dir and bank_path(self.bank_dir),
        )
        self.labeler.bind(self.learner)
        if len(self.learner.names) == 1 and self.exchange != 'self':
            MMLogger.get_current_instance().warning(
                f"CrossPseudoLabelHook: with one localizer, exchange='{self.exchange}' "
                'is self-training, and the agreement of every clip is 1. Set '
                "exchange='self' and reliability=['confidence'], or add a second "
                "localizer: model.localizers=dict(b='a')."
            )
        if self._resumed is not None:
            named = [osp.dirname(runner._load_from)] if runner._load_from else []
            self.bank.load_state_dict(
                self._resumed[self.CHECKPOINT_KEY], *named, runner.work_dir
            )
            self.labeler.load_state_dict(self._resumed)
            if self.bank.is_complete:  # though the training may be longer now
                self.warmup_epochs = min(self.warmup_epochs, runner.epoch)
            self._resumed = None
        if self.init_from is not None and not self.bank.is_complete:
            self._first_maps = self._open_first_maps(self.init_from)
        self.sampler.set_schedule(self.warmup_epochs, runner.max_epochs)

    def _open_first_maps(self, path: str) -> MapFiles:
        """Opens maps of another model, checks them, says how many clips they are of."""
        files = open_maps(path)
        known = common_ids(self.bank.sample_ids, files)
        for sample_id in known:  # they are needed after the warm-up only
            files.read(sample_id)
        MMLogger.get_current_instance().info(
            f'{path}: first labels of {len(known)} of {len(self.bank)} unlabeled '
            f'clips; {len(files.ids) - len(known)} maps are of no unlabeled clip.'
        )
        if 'confidence' not in self.reliability:
            MMLogger.get_current_instance().warning(
                'CrossPseudoLabelHook: localizers that begin with one label agree, so '
                'what is uncertain in the maps of init_from does not count. Set '
                "reliability=['agreement', 'confidence']."
            )
        return files

    def _read_schedule(self, loop: BaseLoop) -> None:
        """Reads warm-up and end of the training from the loop."""
        if not hasattr(loop, 'warmup_epochs'):
            raise TypeError(
                'CrossPseudoLabelHook reads the warm-up from the train loop, and '
                f"{type(loop).__name__} has none: set train_cfg.type='"
                "ResumableTrainLoop'."
            )
        self.warmup_epochs = loop.warmup_epochs
        if self.warmup_epochs >= loop.max_epochs:
            raise DataError(
                f'train_cfg: all {loop.max_epochs} epochs are warm-up (warmup_epochs '
                f'is {self.warmup_epochs}), so no pseudo-label would be learnt: lower '
                'warmup_epochs, raise max_epochs, or train without pseudo-labels, as '
                '--method supcon does.'
            )
        if self.align_area and self.warmup_epochs < 1:
            raise DataError(
                'align_area learns the area of the annotations in the warm-up: set '
                'train_cfg.warmup_epochs to 1 at least.'
            )

    def before_train_epoch(self, runner: Runner) -> None:
        """Runs the scoring pass once, then ranks the unlabeled set every epoch."""
        if runner.epoch < self.warmup_epochs:
            return
        self.labeler.start()
        if self.sampler.skipped:
            return  # resumed within an epoch: the sampler has its order
        if not self.bank.is_complete:
            self._scoring_pass(runner)
        scores = self.bank.reliability()
        self.sampler.set_reliability(scores)
        MMLogger.get_current_instance().info(
            f'Curriculum: epoch {runner.epoch + 1} draws from '
            f'{len(self.sampler.selected())} of {len(scores)} unlabeled clips '
            f'(reliability {" x ".join(self.reliability)}: mean {scores.mean():.3f}, '
            f'of the selected {scores[self.sampler.selected()].mean():.3f})'
        )

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Writes pseudo-labels into the unlabeled samples of the batch."""
        if self.align_area:
            # the learner refuses a labeled sample without ground truth
            labeled = [s for s in data_batch['data_samples'] if s.is_labeled]
            maps = [s.gt_map for s in labeled if 'gt_map' in s]
            self.labeler.alignment.observe([float(gt.mean()) for gt in maps])
        # prepared here once; train_step finds it done
        data_batch.update(self.learner.data_preprocessor.prepare(data_batch))
        if runner.iter == 0:  # maps that cannot be exchanged are refused at once
            self.labeler.predict({k: x[:1] for k, x in data_batch['inputs'].items()})
        if runner.epoch < self.warmup_epochs:
            return
        samples: list[AVDataSample] = data_batch['data_samples']
        rows = [i for i, sample in enumerate(samples) if not sample.is_labeled]
        index = torch.tensor([samples[i].sample_idx for i in rows], dtype=torch.long)
        inputs = {name: x[rows] for name, x in data_batch['inputs'].items()}
        if self.view == 'canonical':
            # many networks take no empty batch
            maps = self.labeler.predict(inputs) if rows else self.bank.lookup(index)
            labels = self._remember(index, maps)
        else:
            labels = self.bank.lookup(index).to(next(iter(inputs.values())).device)
        for i, label in zip(rows, exchange(labels, self.exchange), strict=True):
            samples[i].pseudo_label = label
        if self.min_confidence is not None:
            change = self.bank.change[index].to(labels)
            scores = score_labels(maps, labels, change, self.reliability, self.exchange)
            for i, passed in zip(rows, scores >= self.min_confidence, strict=True):
                samples[i].pseudo_weights = passed.float()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs=None
    ) -> None:
        """Updates the teacher and, with ``view='train'``, the bank."""
        if runner.epoch < self.warmup_epochs:
            return
        self.labeler.step()
        if self.view != 'train':
            return
        samples = [s for s in data_batch['data_samples'] if not s.is_labeled]
        index = torch.tensor([s.sample_idx for s in samples], dtype=torch.long)
        if not samples:  # the other ranks' labels come in all the same
            maps = self.bank.lookup(index)
            self._remember(index, maps, maps.new_zeros(0, *maps.shape[2:]).bool())
            return
        maps = torch.stack(
            [
                torch.cat([s.pred_map.get(name) for name in self.learner.names])
                for s in samples
            ]
        )
        back = invert_affine(torch.stack([s.affine for s in samples]))
        self._remember(index, warp(maps, back), visible_cells(back, maps.shape[2:]))

    def after_train_epoch(self, runner: Runner) -> None:
        """Sums the annotated areas of all ranks."""
        if self.align_area:
            self.labeler.alignment.end_epoch()

    def gather_before_save(self, runner: Runner) -> None:
        """Collects the annotated areas of each rank; every rank calls it."""
        if self.align_area:
            self.labeler.alignment.gather()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Adds bank and teacher, on rank 0 only and without communication."""
        if self.bank is None:
            return
        folder = checkpoint_folder(runner)
        state = self.bank.state_dict(folder or runner.work_dir)
        if 'file' in state:
            checkpoint['meta']['files'] = {state['file']: state['digest']}
            # in another store, checkpoints that still exist are not known
            if folder is not None:
                remove_copies(folder, {state['file'], *named_files(folder)})
        checkpoint[self.CHECKPOINT_KEY] = state
        checkpoint.update(self.labeler.state_dict())

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keeps the checkpoint of a resumed run until the data set is known."""
        if not runner._resume:
            return
        if self.CHECKPOINT_KEY not in checkpoint:
            raise ValueError(
                f"The checkpoint to resume from has no '{self.CHECKPOINT_KEY}': it "
                'was written by a run without CrossPseudoLabelHook, or published. '
                'Start from its weights with load_from instead of resuming.'
            )
        self._resumed = checkpoint

    def _remember(
        self, index: Tensor, maps: Tensor, valid: Tensor | None = None
    ) -> Tensor:
        """Blends the maps of all ranks into every rank's bank.

        Args:
            index (Tensor): (B,) positions of this rank's clips; B may be 0.
            maps (Tensor): (B, M, h, w) predictions for them.
            valid (Tensor, optional): (B, h, w) bool, cells that were seen; on all ranks
                or on none.

        Returns:
            Tensor: (B, M, h, w) labels of this rank's clips.
        """
        counts = count_rows(maps)
        # in the order of the clips, so that sums do not depend on who predicted what
        everyone, order = gather_rows(index.to(maps.device), counts).sort(stable=True)
        if len(order):
            gathered = gather_rows(maps, counts)[order]
            seen = None if valid is None else gather_rows(valid, counts)[order]
            self.bank.check_finite(everyone, gathered)
            self.bank.update(everyone, self.labeler.label(gathered, seen), seen)
        return self.bank.lookup(index).to(maps.device)

    def _scoring_pass(self, runner: Runner) -> None:
        """Gives every unlabeled clip its first label."""
        for batch, count in ordered_pass(runner.train_dataloader, self.unlabeled):
            batch = self.learner.data_preprocessor.prepare(batch)
            index = torch.tensor([s.sample_idx for s in batch['data_samples']])
            maps = self.labeler.predict(batch['inputs'])
            for own, sample in zip(maps, batch['data_samples'], strict=True):
                if self._first_maps and sample.sample_id in self._first_maps.ids:
                    given = self._first_maps.read(sample.sample_id).to(own)
                    # cells are areas, as of the ground truth
                    own[:] = F.adaptive_avg_pool2d(given[None], own.shape[1:])
            self._remember(index[:count], maps[:count])
