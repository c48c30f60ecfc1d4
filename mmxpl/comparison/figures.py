"""Curves of a comparison's trainings, and its figures."""

import csv
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmxpl.visualization.charts import (
    COLOURS,
    LINE_STYLES,
    new_figure,
    read_run,
    save_figure,
)

from .tables import MODEL_TITLES, SCORES, Row, scores_by_seed, with_single

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
"""dict[str, str]: logged keys that are drawn, and their titles."""

Points = dict[float, float]


def read_curves(folder: Path) -> dict[str, Points]:
    """Reads the curves of one training: epoch to value, by key of :data:`CURVES`.

    Losses are means over an epoch. Without a log there are no curves.
    """
    values: dict[str, dict[float, list[float]]] = {}
    logged = any(folder.glob('*/vis_data/scalars.json'))
    for record in read_run(folder) if logged else ():
        # training logs the epoch, validation the epoch as its step
        epoch = float(record.get('epoch', record['step']))
        for key in CURVES.keys() & record.keys():
            values.setdefault(key, {}).setdefault(epoch, []).append(record[key])
    return {
        key: {epoch: statistics.fmean(points[epoch]) for epoch in sorted(points)}
        for key, points in values.items()
    }


def write_curves(
    curves: Mapping[str, Sequence[Mapping[str, Points]]], path: Path
) -> None:
    """Writes as CSV what :func:`read_curves` gave, by method for each seed."""
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(['method', 'run', 'curve', 'epoch', 'value'])
        for method, runs in curves.items():
            for k, run in enumerate(runs):
                for key, points in run.items():
                    for epoch, value in points.items():
                        writer.writerow([method, k, key, f'{epoch:g}', f'{value:.5g}'])


def draw_curves(
    curves: Mapping[str, Sequence[Mapping[str, Points]]],
    titles: Mapping[str, str],
    path: Path,
) -> None:
    """Draws each curve's mean over the seeds, with a band of one standard deviation.

    Writes nothing if there are no curves. For ``curves`` see :func:`write_curves`.
    """
    from matplotlib.ticker import MaxNLocator

    logged = {key for runs in curves.values() for run in runs for key in run}
    keys = [key for key in CURVES if key in logged]
    if not keys:
        return
    columns = min(len(keys), 2)
    rows = math.ceil(len(keys) / columns)
    figure = new_figure(5.5 * columns, 3 * rows, dpi=110)
    for n, key in enumerate(keys, start=1):
        axes = figure.add_subplot(rows, columns, n)
        for k, (method, runs) in enumerate(curves.items()):
            _band(axes, [run[key] for run in runs if key in run], k, titles[method])
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _finish(axes, CURVES[key], 'epoch')
    _add_legend(figure)
    save_figure(figure, path)


def draw_efficiency(rows: Sequence[Row], titles: Mapping[str, str], path: Path) -> None:
    """Draws the scores, rows of ``results.json``, over the labeled fraction."""
    rows = with_single(rows)
    fractions = sorted({row['labeled'] for row in rows})
    shown = [
        (model, score)
        for model in ('single', 'ens')
        for score in ('CIoU@0.5_adaptive', 'CIoU@0.5_fixed')
    ]
    figure = new_figure(11, 7, dpi=110)
    for n, (model, score) in enumerate(shown, start=1):
        axes = figure.add_subplot(2, 2, n)
        for k, method in enumerate(titles):
            values = {
                100 * f: list(scores_by_seed(rows, method, f, model, score).values())
                for f in fractions
            }
            values = {x: v for x, v in values.items() if v}
            if values:
                axes.errorbar(
                    list(values),
                    [statistics.mean(v) for v in values.values()],
                    yerr=[_deviation(v) for v in values.values()],
                    label=titles[method],
                    marker='o',
                    markersize=4,
                    capsize=3,
                    **_style(k),
                )
        axes.set_xscale('log')
        axes.set_xticks([100 * f for f in fractions])
        axes.set_xticklabels([f'{100 * f:g}' for f in fractions])
        axes.minorticks_off()
        title = f'{SCORES[score]}, {MODEL_TITLES[model]} (%)'
        _finish(axes, title, 'labeled clips (%)')
    _add_legend(figure)
    save_figure(figure, path)


def _style(k: int) -> dict:
    return dict(
        color=COLOURS[k % len(COLOURS)],
        linestyle=LINE_STYLES[(k // len(COLOURS) + k) % len(LINE_STYLES)],
        linewidth=1.5,
    )


def _deviation(values: Sequence[float]) -> float:
    """Standard deviation of the sample, 0 of a single value."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def _band(axes: 'Axes', runs: Sequence[Points], k: int, label: str) -> None:
    """Draws the mean of a few runs and one standard deviation around it."""
    if not runs:
        return
    epochs = sorted(set.intersection(*(set(run) for run in runs)))
    mean = [statistics.mean(run[e] for run in runs) for e in epochs]
    # a single validation is no line
    marker = 'o' if len(epochs) == 1 else None
    axes.plot(epochs, mean, label=label, marker=marker, **_style(k))
    if len(runs) > 1:
        std = [_deviation([run[e] for run in runs]) for e in epochs]
        axes.fill_between(
            epochs,
            [m - s for m, s in zip(mean, std, strict=True)],
            [m + s for m, s in zip(mean, std, strict=True)],
            color=_style(k)['color'],
            alpha=0.15,
            linewidth=0,
        )


def _finish(axes: 'Axes', title: str, xlabel: str) -> None:
    axes.set_title(title, fontsize=9)
    axes.set_xlabel(xlabel, fontsize=8)
    axes.grid(alpha=0.3)


def _add_legend(figure: 'Figure') -> None:
    found: dict[str, object] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    figure.legend(
        list(found.values()),
        list(found),
        loc='outside lower center',
        ncols=min(len(found), 4),
        fontsize=8,
        frameon=False,
    )
