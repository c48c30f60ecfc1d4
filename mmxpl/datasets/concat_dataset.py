"""Puts data sets one behind the other."""

from collections.abc import Sequence

from mmengine.dataset import BaseDataset
from mmengine.dataset import ConcatDataset as EngineConcatDataset

from mmxpl.registry import DATASETS


@DATASETS.register_module()
class ConcatDataset(EngineConcatDataset):
    """MMEngine's, but for sets whose meta information differs.

    A labeled set knows classes, an unlabeled one (``clips.json``) need not. The meta
    information is that of the first set.

    Args:
        datasets (Sequence[dict | BaseDataset]): the sets or their configs, for training
            the labeled one first.
        lazy_init (bool): read lists and annotations at the first use only. Defaults
            to False.
    """

    def __init__(
        self, datasets: Sequence[dict | BaseDataset], lazy_init: bool = False
    ) -> None:
        built = [DATASETS.build(d) if isinstance(d, dict) else d for d in datasets]
        keys = {key for dataset in built for key in dataset.metainfo}
        super().__init__(built, lazy_init=lazy_init, ignore_keys=sorted(keys))
