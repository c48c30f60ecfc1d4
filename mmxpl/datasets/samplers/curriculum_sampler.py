"""Sampler of labeled clips and of the most reliable unlabeled ones."""

import math
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_dist_info, sync_random_seed
from torch import Tensor
from torch.utils.data import Sampler

from mmxpl.registry import DATA_SAMPLERS
from mmxpl.utils.checks import check_not_negative, check_positive
from mmxpl.utils.errors import DataError


@DATA_SAMPLERS.register_module()
class CurriculumSampler(Sampler):
    """Samples labeled and unlabeled clips in a fixed proportion, reliable ones first.

    The data set is a ``ConcatDataset`` of the labeled and the unlabeled set, in this
    order. Every batch of a rank holds ``labeled_per_batch`` indices of the first, then
    ``unlabeled_per_batch`` of the second; the ``batch_size`` of the data loader is
    their sum.

    An epoch has a constant number of batches, because schedulers read it once. The
    curriculum chooses *which* unlabeled clips fill it: after :meth:`set_reliability`,
    epoch e draws from the share rho(e) of clips with the highest reliability. rho grows
    linearly from ``start`` at the end of the warm-up to ``end`` at the end of the
    training, as set by :meth:`set_schedule`. A share smaller than an epoch is repeated.

    Samples are a function of seed, epoch and reliability, which are equal on all ranks;
    a rank takes every W-th clip of each global batch. Labeled clips are drawn without
    replacement across epochs.

    Args:
        dataset (Dataset): ``ConcatDataset`` of labeled and unlabeled clips.
        labeled_per_batch (int): Labeled clips in a batch of one rank.
        unlabeled_per_batch (int): Unlabeled clips in a batch of one rank.
        num_batches (int, optional): Batches of one rank in an epoch; by default one
            pass through the unlabeled set, or through the labeled set if
            ``unlabeled_per_batch`` is 0.
        curriculum (dict, optional): Shares ``start`` and ``end`` in (0, 1], ``end`` is
            1 by default; without it all clips are used from the start.
        seed (int, optional): Seed of the shuffles; by default one that the ranks agree
            on.
    """

    def __init__(
        self,
        dataset,
        labeled_per_batch: int,
        unlabeled_per_batch: int,
        num_batches: int | None = None,
        curriculum: dict | None = None,
        seed: int | None = None,
    ) -> None:
        sizes = [len(part) for part in getattr(dataset, 'datasets', ())]
        if len(sizes) != 2:
            raise TypeError(
                'CurriculumSampler needs a ConcatDataset of exactly two data sets, '
                'labeled first and unlabeled second, got '
                f'{type(dataset).__name__} of {len(sizes)}.'
            )
        check_not_negative(
            labeled_per_batch=labeled_per_batch, unlabeled_per_batch=unlabeled_per_batch
        )
        check_positive(
            batch_size=labeled_per_batch + unlabeled_per_batch,
            num_batches=1 if num_batches is None else num_batches,
        )
        self.num_labeled, self.num_unlabeled = sizes
        for name, per_batch, size in (
            ('labeled', labeled_per_batch, self.num_labeled),
            ('unlabeled', unlabeled_per_batch, self.num_unlabeled),
        ):
            if per_batch and not size:
                raise ValueError(
                    f'The {name} set is empty: set {name}_per_batch=0 or give it clips.'
                )
        self.labeled_per_batch = labeled_per_batch
        self.unlabeled_per_batch = unlabeled_per_batch
        self.curriculum = _check_curriculum(curriculum)
        self.rank, self.world_size = get_dist_info()
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0
        # epochs between which rho grows
        self.schedule = (0, 0)
        # batches that the next iteration leaves out
        self.skipped = 0
        self._reliability: np.ndarray | None = None
        if num_batches is None:
            if unlabeled_per_batch:
                clips, share = self.num_unlabeled, unlabeled_per_batch
            else:
                clips, share = self.num_labeled, labeled_per_batch
            num_batches = math.ceil(clips / (share * self.world_size))
        self.num_batches = num_batches

    @property
    def batch_size(self) -> int:
        """int: clips in a batch of one rank."""
        return self.labeled_per_batch + self.unlabeled_per_batch

    def __len__(self) -> int:
        return self.num_batches * self.batch_size

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch, counted from 0, of the next iteration."""
        self.epoch = epoch

    def set_schedule(self, begin: int, until: int) -> None:
        """Sets the epochs, counted from 0, between which the share of clips grows.

        ``begin`` is the first one with pseudo-labels, ``until`` the number of all.
        """
        self.schedule = (begin, until)

    def skip_batches(self, number: int) -> None:
        """Makes the next iteration skip its first batches, to resume within an epoch.

        ``number`` is of batches of one rank, in [0, num_batches]. Until then
        :attr:`skipped` holds it, and the epoch keeps the order that
        :meth:`load_state_dict` restores.
        """
        if not 0 <= number <= self.num_batches:
            raise ValueError(
                f'{number} batches to skip in epochs of {self.num_batches}.'
            )
        self.skipped = number

    def state_dict(self) -> dict:
        """Returns ``reliability``, (N,) or None; the rest follows from the settings."""
        scores = self._reliability
        return dict(reliability=None if scores is None else torch.from_numpy(scores))

    def load_state_dict(self, state: dict) -> None:
        """Restores the result of :meth:`state_dict`."""
        scores = state['reliability']
        self._reliability = None if scores is None else scores.cpu().numpy().copy()

    def set_reliability(self, reliability: Tensor) -> None:
        """Sets the order of the curriculum.

        ``reliability``, (N,), is the score of each unlabeled clip, equal on all ranks;
        higher is more reliable.
        """
        if len(reliability) != self.num_unlabeled:
            raise ValueError(
                f'{len(reliability)} reliabilities for {self.num_unlabeled} '
                'unlabeled clips.'
            )
        self._reliability = reliability.cpu().numpy().copy()

    @property
    def share(self) -> float:
        """float: share of clips that the current epoch draws from, rho."""
        if self._reliability is None:
            return 1.0
        (start, end), (begin, until) = self.curriculum, self.schedule
        progress = (self.epoch - begin) / max(until - begin, 1)
        return start + (end - start) * min(max(progress, 0.0), 1.0)

    def selected(self) -> Tensor:
        """Selects the K unlabeled clips that the current epoch draws from, by index."""
        kept = math.ceil(self.share * self.num_unlabeled)
        if self._reliability is None or kept == self.num_unlabeled:
            return torch.arange(self.num_unlabeled)
        # a partition is much faster than a sort; of clips with the least score that is
        # kept, the first are taken
        least = np.partition(self._reliability, -kept)[-kept]
        better = np.flatnonzero(self._reliability > least)
        equal = np.flatnonzero(self._reliability == least)[: kept - len(better)]
        return torch.from_numpy(np.sort(np.concatenate([better, equal])))

    def __iter__(self) -> Iterator[int]:
        """Yields indices into the concatenated data set, batch after batch."""
        first, self.skipped = self.skipped, 0
        labeled = self._stream(
            torch.arange(self.num_labeled),
            self.labeled_per_batch,
            first=self.epoch * self.num_batches,
            stream=0,
        )
        unlabeled = self._stream(
            self.selected(), self.unlabeled_per_batch, first=0, stream=1 + self.epoch
        )
        unlabeled = unlabeled + self.num_labeled
        for left, right in zip(labeled[first:], unlabeled[first:], strict=True):
            yield from left.tolist()
            yield from right.tolist()

    def _stream(self, pool: Tensor, per_batch: int, first: int, stream: int) -> Tensor:
        """Divides shuffled passes over a pool of indices into the batches of this rank.

        ``pool`` is (K,), ``first`` is the number of global batches already taken from
        the stream; ``stream`` makes the shuffles of streams different. The result is
        (num_batches, per_batch).
        """
        share = per_batch * self.world_size
        low, high = first * share, (first + self.num_batches) * share
        if low == high:
            return torch.empty(self.num_batches, 0, dtype=torch.long)
        passes = range(low // len(pool), math.ceil(high / len(pool)))
        dealt = torch.cat([self._shuffle(pool, stream, number) for number in passes])
        offset = low - passes.start * len(pool)
        dealt = dealt[offset : offset + high - low]
        return dealt.view(self.num_batches, share)[:, self.rank :: self.world_size]

    def _shuffle(self, pool: Tensor, stream: int, number: int) -> Tensor:
        """Shuffles a pool for pass ``number`` of a stream."""
        generator = torch.Generator()
        # distinct odd multipliers keep seeds of different streams and passes apart
        generator.manual_seed(
            (self.seed * 1_000_003 + stream * 10_007 + number) & (2**63 - 1)
        )
        return pool[torch.randperm(len(pool), generator=generator)]


def _check_curriculum(curriculum: dict | None) -> tuple[float, float]:
    """Validates the schedule of rho."""
    if curriculum is None:
        return 1.0, 1.0
    if not {'start'} <= set(curriculum) <= {'start', 'end'}:
        raise ValueError(
            "curriculum needs 'start' and may have 'end' (it begins and ends with the "
            f'pseudo-labels), got {sorted(curriculum)}.'
        )
    start, end = curriculum['start'], curriculum.get('end', 1.0)
    if not 0 < start <= end <= 1:
        raise ValueError(
            f'curriculum needs 0 < start <= end <= 1, got start={start}, end={end}.'
        )
    return start, end


def set_batch_size(loader: MutableMapping[str, Any]) -> None:
    """Sets the batch size in the config of a data loader from that of its sampler.

    The config is changed in place if its sampler has ``labeled_per_batch`` and
    ``unlabeled_per_batch``. Another ``batch_size`` is a DataError.
    """
    sampler = loader.get('sampler')
    names = ('labeled_per_batch', 'unlabeled_per_batch')
    if not isinstance(sampler, Mapping) or not set(names) <= set(sampler):
        return
    size = sum(sampler[name] for name in names)
    if loader.setdefault('batch_size', size) != size:
        raise DataError(
            f'train_dataloader.batch_size is {loader["batch_size"]}, but its sampler '
            f'composes batches of {sampler[names[0]]} labeled + {sampler[names[1]]} '
            'unlabeled clips: leave batch_size out, it follows from the sampler.'
        )
