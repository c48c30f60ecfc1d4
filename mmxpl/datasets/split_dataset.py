"""One set of clips, divided into a labeled and an unlabeled half."""

from collections.abc import Mapping
from typing import Any

from mmxpl.registry import DATASETS

from .concat_dataset import ConcatDataset

_HALVES = (('labeled', True), ('unlabeled', False))


def split_halves(cfg: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Configs of the two halves of a :class:`SplitDataset`.

    Args:
        cfg (Mapping[str, Any]): config of a ``SplitDataset``.

    Returns:
        list[dict[str, Any]]: of the labeled and the unlabeled half.
    """
    share = dict(fraction=cfg['labeled_fraction'], split_seed=cfg.get('split_seed', 0))
    own = dict(labeled={}, unlabeled=cfg.get('unlabeled') or {})
    return [
        {**cfg['dataset'], **own[subset], **share, 'subset': subset, 'labeled': is_}
        for subset, is_ in _HALVES
    ]


@DATASETS.register_module()
class SplitDataset(ConcatDataset):
    """Clips a share of which is trained on with labels, the others without.

    ``datasets`` are the labeled and the unlabeled half, in this order, as
    :class:`mmxpl.datasets.CurriculumSampler` composes its batches of. Fraction and
    seed stand here once, so that no clip can be in both halves.

    Args:
        dataset (dict): config of an :class:`mmxpl.datasets.AVDataset`, of which
            each half takes its clips.
        labeled_fraction (float): share of labeled clips in (0, 1]; see
            :func:`mmxpl.datasets.select_subset`.
        split_seed (int): chooses which clips are labeled. Defaults to 0.
        unlabeled (dict, optional): settings of the unlabeled half alone, such as
            ``dict(audio_swap=0.4)``: clips of which 40 % do not show what is heard.
            Defaults to None.
        lazy_init (bool): read lists and annotations at the first use only.
            Defaults to False.
    """

    def __init__(
        self,
        dataset: dict,
        labeled_fraction: float,
        split_seed: int = 0,
        unlabeled: dict | None = None,
        lazy_init: bool = False,
    ) -> None:
        cfg = dict(
            dataset=dataset,
            labeled_fraction=labeled_fraction,
            split_seed=split_seed,
            unlabeled=unlabeled,
        )
        halves = [{**half, 'lazy_init': lazy_init} for half in split_halves(cfg)]
        super().__init__(halves, lazy_init=lazy_init)
