"""Charts of training logs: curves over epochs, histograms of reliability."""

import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from mmxpl.utils import DataError
from mmxpl.utils.files import write_result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Source = str | os.PathLike | Sequence[Mapping]

# Okabe and Ito (2008), told apart with any kind of colour vision
COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9')
LINE_STYLES = ('-', (0, (5, 1.5)), (0, (1, 1.2)), (0, (4, 1.5, 1, 1.5)))
REFERENCE_DASHES = ((0, (6, 3)), (0, (2, 2)), (0, (8, 2, 2, 2)), (0, (1, 3)))


def new_figure(width: float, height: float, **kwargs) -> 'Figure':
    """Makes a matplotlib figure, in inches, without window system and global state.

    ``kwargs`` are further arguments of ``matplotlib.figure.Figure``, such as ``dpi``.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), **{'layout': 'constrained', **kwargs})
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: 'Figure', path: str | os.PathLike) -> None:
    """Writes a figure as PNG, with the folders above it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png')
    write_result(path, buffer.getvalue())


def read_scalars(path: str | os.PathLike) -> list[dict]:
    """Reads the records of MMEngine's local backend, ``vis_data/scalars.json``.

    Raises:
        DataError: If the file is missing or a line is not a JSON object.
    """
    try:
        with open(path, encoding='utf-8', errors='replace') as file:
            lines = file.read().splitlines()
    except FileNotFoundError as error:
        raise DataError(
            f'{path}: no such file; give the vis_data/scalars.json of a run'
        ) from error
    records = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            # the last line of a run that was killed may be cut off
            if number == len(lines):
                break
            raise DataError(
                f'{path}: line {number} is not a JSON object; give the file that '
                'LocalVisBackend writes, one record a line'
            )
        records.append(record)
    return records


def read_run(path: str | os.PathLike) -> list[dict]:
    """Reads all records of a run that have a ``step``.

    The path is a ``scalars.json``, or a work directory, whose logs are joined (a
    resumed run has several), the oldest first. From where a later one begins it
    replaces the others: a run that was not resumed replaces all. No record is a
    DataError.
    """
    files = [Path(path)]
    if files[0].is_dir():
        # folders are named by the time of the start
        files = sorted(files[0].rglob('vis_data/scalars.json'))
    records: list[dict] = []
    for file in files:
        later = read_scalars(file)
        begin = next((one for one in later if {'iter', 'epoch'} <= one.keys()), None)
        if begin is not None:
            records = [one for one in records if not _is_repeated(one, begin)]
        records += later
    if not records:
        raise DataError(
            f'{path}: holds no logged scalars; name the work directory of a training '
            'that has begun, or its vis_data/scalars.json.'
        )
    return [record for record in records if 'step' in record]


def _is_repeated(record: Mapping, begin: Mapping) -> bool:
    """Tells whether a run whose first record is ``begin`` repeats a record."""
    if 'iter' in record:
        return record['iter'] >= begin['iter']
    return record.get('step', 0) >= begin['epoch']  # of a validation: its epoch


def score_curve(records: Sequence[Mapping], key: str) -> tuple[list, list]:
    """Selects the steps, rising, and values of one score from a run's records.

    Of a step that was recorded twice, as after a resume, the later record counts.
    """
    points = {record['step']: record[key] for record in records if key in record}
    steps = sorted(points)
    return steps, [points[step] for step in steps]


def plot_learning_curves(
    runs: Source | Mapping[str, Source],
    keys: str | Sequence[str],
    out_file: str | os.PathLike,
    reference: Mapping[str, float] | None = None,
    labels: Mapping[str, str] | None = None,
    title: str = '',
    xlabel: str = 'Epoch',
    ylabel: str = 'CIoU@0.5 (%)',
) -> None:
    """Plots scores over epochs, of one run or of several.

    Several runs differ by colour and, if there are several keys, keys by line
    style; the keys of a single run differ by colour.

    Args:
        runs (Source | Mapping[str, Source]): A run, or runs by name. A run is
            the path of its work directory or ``scalars.json``, or its records.
        keys (str | Sequence[str]): Scores to plot, such as
            'ens/CIoU@0.5_adaptive'.
        out_file (str | os.PathLike): PNG to write.
        reference (Mapping[str, float], optional): Rows that do not depend on training,
            by name, drawn as flat dashed lines.
        labels (Mapping[str, str], optional): Name of a key in the legend, by
            default the key itself.
        title (str): Title.
        xlabel (str): Label of the steps.
        ylabel (str): Label of the scores.

    Raises:
        DataError: If a file cannot be read or a run lacks a key.
    """
    from matplotlib.ticker import MaxNLocator

    keys = [keys] if isinstance(keys, str) else list(keys)
    runs = runs if isinstance(runs, Mapping) else {'': runs}
    many, labels = len(runs) > 1, labels or {}
    figure = new_figure(8, 4.2, dpi=150)
    axes = figure.add_subplot()
    for i, (run, source) in enumerate(runs.items()):
        is_path = isinstance(source, (str, os.PathLike))
        records = read_run(source) if is_path else source
        for j, key in enumerate(keys):
            steps, scores = score_curve(records, key)
            if not steps:
                known = sorted({name for one in records for name in one} - {'step'})
                raise DataError(
                    f'{source if is_path else run or "the run"}: no record has the '
                    f'score {key!r}; it has {", ".join(known) or "none"}'
                )
            label = labels.get(key, key)
            if run:
                label = f'{run}, {label}' if len(keys) > 1 else run
            axes.plot(
                steps,
                scores,
                color=COLOURS[(i if many else j) % len(COLOURS)],
                linestyle=LINE_STYLES[j % len(LINE_STYLES)] if many else '-',
                marker='o',
                markersize=3.5,
                linewidth=1.8,
                label=label,
            )
    for i, (name, score) in enumerate((reference or {}).items()):
        axes.axhline(
            score,
            color='0.45',
            linestyle=REFERENCE_DASHES[i % len(REFERENCE_DASHES)],
            linewidth=1.2,
            label=f'{name} ({score:.1f})',
            zorder=1,
        )
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.set_title(title, loc='left', fontweight='bold', fontsize=11)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis='y', color='0.9')
    axes.set_axisbelow(True)
    axes.spines[['top', 'right']].set_visible(False)
    figure.legend(loc='outside right upper', frameon=False, fontsize=9, handlelength=3)
    save_figure(figure, out_file)


def reliability_histogram(scores: Tensor, selected: Tensor) -> np.ndarray:
    """Draws the reliability of all clips, and of the selected ones before it.

    ``scores`` are (N,) in [0, 1], ``selected`` (N,) bool; the picture is RGB uint8 of
    shape (300, 500, 3). The scale is fixed to 0 ... 1, so that pictures of different
    epochs and runs can be compared by eye.
    """
    figure = new_figure(5, 3, dpi=100)
    axes = figure.add_subplot()
    bins = np.linspace(0, 1, 41)
    kept = scores[selected]
    axes.hist(scores.numpy(), bins, color='0.8', label=f'all {len(scores)}')
    axes.hist(kept.numpy(), bins, color=COLOURS[0], label=f'selected {len(kept)}')
    axes.set(xlim=(0, 1), xlabel='Reliability', ylabel='Clips')
    axes.spines[['top', 'right']].set_visible(False)
    axes.legend(frameon=False)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()
