"""Metrics that answer for every sample of a list."""

from collections.abc import Sequence

from mmengine.evaluator import BaseMetric

from mmxpl.utils import DataError

from .checks import check_unique


class ListedMetric(BaseMetric):
    """Counts its samples against the list that the protocol has.

    Args:
        models (Sequence[str]): Fields of ``pred_map`` to score.
        n_expected (int, optional): How many samples the protocol's list has. By
            default ``n_expected`` of the data set's meta information, else the
            length of the data set.
        collect_device (str): See ``BaseMetric``. Defaults to 'cpu'.
        prefix (str, optional): Put before all keys. Defaults to None: the class's
            ``default_prefix``.
        collect_dir (str, optional): See ``BaseMetric``. Defaults to None.
    """

    def __init__(
        self,
        models: Sequence[str],
        n_expected: int | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix, collect_dir)
        self.models = tuple(models)
        self.n_expected = n_expected
        self._dataset_size: int | None = None

    def evaluate(self, size: int) -> dict[str, float]:
        """Gathers the results of all processes and scores them.

        Args:
            size (int): Length of the data set.

        Returns:
            dict[str, float]: See the class.
        """
        self._dataset_size = size
        return super().evaluate(size)

    def account(self, results: Sequence[dict]) -> tuple[list[str], int]:
        """Checks that there are samples and that none came twice.

        Args:
            results (Sequence[dict]): Each with ``sample_id``.

        Returns:
            tuple[list[str], int]: Ids of the samples, and how many were expected.

        Raises:
            DataError: If there is nothing to score or a sample came twice.
        """
        if not results:
            raise DataError(
                f'{type(self).__name__} has no sample to score: check that the '
                'evaluated list and the data on disk have ids in common.'
            )
        ids = [item['sample_id'] for item in results]
        check_unique(ids)
        counts = (
            self.n_expected,
            (self.dataset_meta or {}).get('n_expected'),
            self._dataset_size,
            len(ids),
        )
        return ids, next(count for count in counts if count is not None)

    @property
    def list_name(self) -> str | None:
        """Str | None: which list the data set says it is, if it knows such lists."""
        meta = self.dataset_meta or {}
        if 'id_list_name' not in meta:
            return None
        return meta['id_list_name'] or 'no published test list, or a part of one'
