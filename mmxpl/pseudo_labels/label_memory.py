"""Pseudo-labels of a checkpoint, for analysis tools."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmxpl.utils import DataError
from mmxpl.utils.checkpoint import embedded_config, read_checkpoint

from .bank import PseudoLabelBank


class LabelMemory:
    """Pseudo-labels and reliability in a checkpoint of a training.

    ``ids`` are the N unlabeled clips in the order of their data set; the hook in
    ``cfg`` sets the measures of reliability. A DataError says that the checkpoint
    cannot be read or has no pseudo-labels of these clips.

    Attributes:
        bank (PseudoLabelBank): the labels.
        epoch (int): epochs that were finished.
        cfg (Config | None): config of the training, if the checkpoint holds it.
        scores (Tensor): (N,) reliability in [0, 1].
        ranks (Tensor): (N,) from 1, the most reliable first.
    """

    def __init__(self, path: str, ids: Sequence[str], cfg: Any) -> None:
        checkpoint = read_checkpoint(path, 'cpu')
        state = checkpoint.get(PseudoLabelBank.CHECKPOINT_KEY)
        if state is None:
            raise DataError(
                f'--checkpoint {path}: has no pseudo-labels: it is a published one, or '
                'of a run without CrossPseudoLabelHook. Name an epoch_N.pth of such a '
                'run.'
            )
        hook = cfg.get('default_hooks', {}).get('pseudo_label') or {}
        measures = hook.get('reliability', ('agreement',))
        try:
            self.bank = PseudoLabelBank(ids, state['names'], measures=measures)
            # the copy of a bank in a file is in the folder of the checkpoint
            self.bank.load_state_dict(state, Path(path).parent)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f'--checkpoint {path}: its pseudo-labels are damaged ({error!r}). Name '
                'another checkpoint.'
            ) from error
        except ValueError as error:
            raise DataError(
                f'--checkpoint {path}: {error} Give the config of that run.'
            ) from error
        if self.bank.labels is None:
            raise DataError(
                f'--checkpoint {path}: is of the warm-up, before the first pseudo-'
                'label. Name a later one.'
            )
        self.epoch, self.cfg = checkpoint.get('meta', {}).get('epoch', 0), None
        with suppress(DataError):
            self.cfg = embedded_config(checkpoint, path)
        self.scores = self.bank.reliability()
        # the order of the curriculum
        order = self.scores.argsort(descending=True, stable=True)
        self.ranks = order.argsort() + 1

    def describe(self, index: int) -> tuple[dict, str]:
        """Describes a clip by its position in the data set.

        Returns its labels (h, w) by localizer, empty before its first visit, and a line
        about them.
        """
        visits = int(self.bank.visits[index])
        if not visits:
            return {}, 'no pseudo-label yet'
        maps = self.bank.labels[index].float()
        return dict(zip(self.bank.names, maps, strict=True)), (
            f'r={self.scores[index]:.2f}, rank {self.ranks[index]} of '
            f'{len(self.bank)}, visit {visits}'
        )
