"""What the trainings of a comparison logged, epoch by epoch."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmxpl.visualization.charts import read_scalars

# what is logged under these keys is drawn; the rest stays in the logs
CURVES = {
    'ens/CIoU@0.5_adaptive': 'validation CIoU@0.5, adaptive, ensemble (%)',
    'a/CIoU@0.5_adaptive': 'validation CIoU@0.5, adaptive, A (%)',
    'b/CIoU@0.5_adaptive': 'validation CIoU@0.5, adaptive, B (%)',
    'a.loss_supervised': "A's loss on labeled clips",
    'b.loss_supervised': "B's loss on labeled clips",
    'pseudo_label/a_soft_iou': "A's pseudo-labels, soft IoU with hidden boxes",
    'pseudo_label/b_soft_iou': "B's pseudo-labels, soft IoU with hidden boxes",
    'pseudo_label/agreement': 'agreement of A and B (soft IoU)',
}
Points = dict[float, float]


def read_curves(folder: Path) -> dict[str, Points]:
    """Reads the curves of one training, of all its legs if it was resumed.

    Args:
        folder (Path): its work directory.

    Returns:
        dict[str, Points]: by key of :data:`CURVES`, epoch to value. The losses
        are means of what was logged during an epoch.
    """
    curves: dict[str, Points] = {}
    for path in sorted(folder.glob('*/vis_data/scalars.json')):
        sums: dict[str, dict[float, list[float]]] = {}
        for record in read_scalars(path):
            # a line of training says its epoch, one of validation its step
            epoch = float(record.get('epoch', record['step']))
            for key in CURVES.keys() & record.keys():
                sums.setdefault(key, {}).setdefault(epoch, []).append(record[key])
        for key, values in sums.items():
            # a later leg went through its first epochs anew
            means = {epoch: sum(v) / len(v) for epoch, v in values.items()}
            curves.setdefault(key, {}).update(means)
    return {key: dict(sorted(points.items())) for key, points in curves.items()}


def write_curves(
    curves: Mapping[str, Sequence[Mapping[str, Points]]], path: Path
) -> None:
    """Writes the curves of a comparison as CSV.

    Args:
        curves (Mapping[str, Sequence[Mapping[str, Points]]]): by method, one
            reading of :func:`read_curves` a seed.
        path (Path): file to write.
    """
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(['method', 'run', 'curve', 'epoch', 'value'])
        for method, runs in curves.items():
            for k, run in enumerate(runs):
                for key, points in run.items():
                    for epoch, value in points.items():
                        writer.writerow([method, k, key, f'{epoch:g}', f'{value:.5g}'])
