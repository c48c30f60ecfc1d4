"""Writes predicted maps to files that any evaluator can read."""

from collections.abc import Sequence
from pathlib import Path

from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from mmxpl.registry import METRICS
from mmxpl.utils import DataError
from mmxpl.utils.files import write_array


@METRICS.register_module()
class MapDumper(BaseMetric):
    """Dumps the maps of each model as ``<out_dir>/<model>/<sample_id>.npy``.

    Each file holds (h, w) float32 at the resolution that the model predicts, in
    [0, 1]: what ``tools/analysis_tools/eval_maps.py`` takes. It computes no score.

    Args:
        out_dir (str): Folder to write to. A folder that holds maps already is
            refused, so that maps of two runs are never mixed.
        models (Sequence[str], optional): Fields of ``pred_map`` to dump; all by
            default.
        collect_device (str): See ``BaseMetric``.

    Raises:
        DataError: If ``out_dir`` holds maps.
    """

    default_prefix = ''

    def __init__(
        self,
        out_dir: str,
        models: Sequence[str] | None = None,
        collect_device: str = 'cpu',
    ) -> None:
        super().__init__(collect_device)
        self.out_dir = Path(out_dir)
        self.models = models
        if next(self.out_dir.rglob('*.npy'), None) is not None:
            raise DataError(
                f'{out_dir}: the folder holds maps already. Name a new one, or remove '
                'them.'
            )

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Writes the (1, h, w) fields of ``pred_map`` of a batch.

        Raises a DataError if a file cannot be written.
        """
        for sample in data_samples:
            fields = dict(sample['pred_map'])
            for model in fields if self.models is None else self.models:
                path = self.out_dir / model / f'{sample["sample_id"]}.npy'
                write_array(path, fields[model][0].detach().float().cpu().numpy())
            self.results.append(sample['sample_id'])

    def compute_metrics(self, results: list[str]) -> dict[str, float]:
        """Says what was written; there is no score."""
        MMLogger.get_current_instance().info(
            f'Maps of {len(set(results))} samples are in {self.out_dir}.'
        )
        return {}
