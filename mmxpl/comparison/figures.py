"""Figures of a comparison: curves over epochs, scores over labeled fractions."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmxpl.visualization.charts import COLOURS, LINE_STYLES

from .curves import CURVES, Points
from .tables import MODEL_TITLES, SCORES, Row, scores_by_seed, with_single


def draw_curves(
    curves: Mapping[str, Sequence[Mapping[str, Points]]],
    titles: Mapping[str, str],
    path: Path,
) -> None:
    """Draws each curve's mean over the seeds, with a band of one standard deviation.

    Args:
        curves (Mapping[str, Sequence[Mapping[str, Points]]]): by method, one
            reading of :func:`~mmxpl.benchmark.read_curves` a seed.
        titles (Mapping[str, str]): title by method.
        path (Path): PNG to write.
    """
    logged = {key for runs in curves.values() for run in runs for key in run}
    keys = [key for key in CURVES if key in logged]
    if not keys:
        return
    plt = _pyplot()
    columns = min(len(keys), 2)
    lines = -(-len(keys) // columns)
    figure, axes = plt.subplots(
        lines, columns, figsize=(5.5 * columns, 3 * lines), squeeze=False
    )
    for key, axis in zip(keys, axes.flat, strict=False):
        for k, (method, runs) in enumerate(curves.items()):
            _band(axis, [run[key] for run in runs if key in run], k, titles[method])
        axis.set_title(CURVES[key], fontsize=9)
        axis.set_xlabel('epoch', fontsize=8)
        axis.grid(alpha=0.3)
    for axis in axes.flat[len(keys) :]:
        axis.axis('off')
    _legend_and_save(figure, axes, path, plt)


def draw_efficiency(rows: Sequence[Row], titles: Mapping[str, str], path: Path) -> None:
    """Draws the scores over the labeled fraction.

    Args:
        rows (Sequence[Row]): rows of ``results.json``.
        titles (Mapping[str, str]): title by method.
        path (Path): PNG to write.
    """
    rows = with_single(rows)
    fractions = sorted({row['labeled'] for row in rows})
    plt = _pyplot()
    shown = [
        (model, score)
        for model in ('single', 'ens')
        for score in ('CIoU@0.5_adaptive', 'CIoU@0.5_fixed')
    ]
    figure, axes = plt.subplots(2, 2, figsize=(11, 7), squeeze=False)
    for (model, score), axis in zip(shown, axes.flat, strict=True):
        for k, method in enumerate(titles):
            values = {
                100 * f: list(scores_by_seed(rows, method, f, model, score).values())
                for f in fractions
            }
            values = {x: v for x, v in values.items() if v}
            _errorbar(axis, values, k, titles[method])
        axis.set_xscale('log')
        axis.set_xticks([100 * f for f in fractions])
        axis.set_xticklabels([f'{100 * f:g}' for f in fractions])
        axis.minorticks_off()
        axis.set_title(f'{SCORES[score]}, {MODEL_TITLES[model]} (%)', fontsize=9)
        axis.set_xlabel('labeled clips (%)', fontsize=8)
        axis.grid(alpha=0.3)
    _legend_and_save(figure, axes, path, plt)


def _pyplot():
    """Imports pyplot with a backend that needs no screen."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    return pyplot


def _style(k: int) -> dict:
    """Colour and line style of the k-th method."""
    return dict(
        color=COLOURS[k % len(COLOURS)],
        linestyle=LINE_STYLES[(k // len(COLOURS) + k) % len(LINE_STYLES)],
        linewidth=1.5,
    )


def _band(axis, runs: Sequence[Points], k: int, label: str) -> None:
    """Draws the mean of a few runs and one standard deviation around it."""
    if not runs:
        return
    epochs = sorted(set.intersection(*(set(run) for run in runs)))
    mean = [statistics.mean(run[e] for run in runs) for e in epochs]
    axis.plot(epochs, mean, label=label, **_style(k))
    if len(runs) > 1:
        std = [statistics.stdev(run[e] for run in runs) for e in epochs]
        axis.fill_between(
            epochs,
            [m - s for m, s in zip(mean, std, strict=True)],
            [m + s for m, s in zip(mean, std, strict=True)],
            color=_style(k)['color'],
            alpha=0.15,
            linewidth=0,
        )


def _errorbar(axis, values: Mapping[float, Sequence[float]], k: int, label: str):
    """Draws means with standard deviations."""
    if not values:
        return
    axis.errorbar(
        list(values),
        [statistics.mean(v) for v in values.values()],
        yerr=[statistics.stdev(v) if len(v) > 1 else 0 for v in values.values()],
        label=label,
        marker='o',
        markersize=4,
        capsize=3,
        **_style(k),
    )


def _legend_and_save(figure, axes, path: Path, plt) -> None:
    """Puts one legend below all axes and writes the figure."""
    found: dict[str, object] = {}
    for axis in axes.flat:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    columns = min(len(found), 4)
    rows = -(-len(found) // columns)
    height = figure.get_size_inches()[1]
    figure.tight_layout(rect=(0, (0.25 * rows + 0.1) / height, 1, 1))
    figure.legend(
        found.values(),
        found,
        loc='lower center',
        ncols=columns,
        fontsize=8,
        frameon=False,
    )
    figure.savefig(path, dpi=110)
    plt.close(figure)
