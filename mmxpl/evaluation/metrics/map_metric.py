"""What the metrics of the protocols beyond single-source CIoU have in common."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence

from mmengine.logging import print_log

from mmxpl.utils import hash_ids

from ..functional import format_counts
from .listed_metric import ListedMetric


class MapMetric(ListedMetric):
    """Scores localization maps, one item of ``results`` for each sample.

    A subclass says what it keeps of a sample (:meth:`measure`) and what all
    samples together give (:meth:`score`). This class refuses samples that came
    twice, so that the result depends neither on the batch size nor on the number
    of processes, and logs a table with a protocol card. Keys are
    ``<prefix>/<row>/<score>``, values per cent, with ``n_evaluated`` and
    ``n_expected``.

    Args:
        models (Sequence[str]): Fields of ``pred_map`` to score. Defaults to
            ``('a', 'b', 'ens')``.
        n_expected (int, optional): How many samples the protocol's list has. By
            default ``n_expected`` of the data set's meta information, else the
            length of the data set.
        collect_device (str): See ``BaseMetric``. Defaults to 'cpu'.
        prefix (str, optional): Put before all keys. Defaults to None: the name
            of the protocol, ``default_prefix``.
        collect_dir (str, optional): See ``BaseMetric``. Defaults to None.
    """

    def __init__(
        self,
        models: Sequence[str] = ('a', 'b', 'ens'),
        n_expected: int | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(models, n_expected, collect_device, prefix, collect_dir)

    @abstractmethod
    def measure(self, sample: dict) -> dict:
        """Takes from one sample what its scores need.

        Args:
            sample (dict): A data sample as a plain dictionary.

        Returns:
            dict: Small and picklable.
        """

    @abstractmethod
    def score(
        self, items: Sequence[dict]
    ) -> tuple[dict[str, dict[str, float]], list[str]]:
        """Scores all samples.

        Args:
            items (Sequence[dict]): From :meth:`measure`, with ``sample_id``, in
                the order of the data set.

        Returns:
            tuple[dict, list[str]]: For each row its scores by name; and lines for
            the protocol card.
        """

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Measures a batch.

        Args:
            data_batch (object): Not used.
            data_samples (Sequence[dict]): The samples as plain dictionaries.

        Raises:
            DataError: If a sample lacks a field or holds a bad value.
        """
        for sample in data_samples:
            self.results.append(
                dict(self.measure(sample), sample_id=sample['sample_id'])
            )

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Scores all samples and logs a table.

        Args:
            results (list[dict]): Items made by :meth:`process`.

        Returns:
            dict[str, float]: See the class.

        Raises:
            DataError: If there is nothing to score or a sample came twice.
        """
        name = type(self).__name__
        ids, n_expected = self.account(results)
        rows, card = self.score(results)
        card.append(format_counts(len(ids), n_expected, hash_ids(ids), self.list_name))
        print_log('\n'.join([f'\n{name}', *_table(rows), *card]), logger='current')
        scores = {f'{row}/{key}': v for row, s in rows.items() for key, v in s.items()}
        # floats: MMEngine's logger writes null for integers
        return scores | dict(n_evaluated=float(len(ids)), n_expected=float(n_expected))


def _table(rows: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Lines of a table; a score that a row does not have is left blank."""
    names = list(dict.fromkeys(name for scores in rows.values() for name in scores))
    first = max(map(len, rows)) + 2
    widths = [max(len(name), 7) + 2 for name in names]
    lines = [
        ' ' * first + ''.join(f'{n:>{w}}' for n, w in zip(names, widths, strict=True))
    ]
    for row, scores in rows.items():
        cells = (
            f'{scores[name]:>{width}.2f}' if name in scores else ' ' * width
            for name, width in zip(names, widths, strict=True)
        )
        lines.append(f'{row:<{first}}{"".join(cells)}'.rstrip())
    return lines
