"""What is written of a comparison: rows, tables, curves and figures."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .cells import Cell
from .comparison import MODELS, REFERENCES
from .curves import read_curves, write_curves
from .figures import draw_curves, draw_efficiency
from .tables import SCORES, Row, paired_differences, score_table

Scores = Mapping[str, float]
Results = Mapping[Cell, tuple[Mapping[str, Scores], float]]


def write_report(
    results: Results, titles: Mapping[str, str], splits: Sequence[str], out: Path
) -> str:
    """Writes ``results.json``, ``results.md``, and curves as CSV and PNG.

    Differences are taken from the method named 'xpl', if it is there with others.

    Args:
        results (Results): by cell its scores by split and key, in per cent, and the
            seconds of its training.
        titles (Mapping[str, str]): title of each method, in the tables' order.
        splits (Sequence[str]): what was scored.
        out (Path): the folder, in which the cells' own are.

    Returns:
        str: The tables.
    """
    rows = [
        row
        for cell, (scores, seconds) in results.items()
        for split in splits
        for row in _rows_of(cell, split, scores[split], seconds)
    ]
    (out / 'results.json').write_text(json.dumps(rows, indent=1))
    fractions = list(dict.fromkeys(cell.labeled for cell in results))
    any_scores, _ = next(iter(results.values()))
    parts = []
    for split in splits:
        some = [row for row in rows if row['split'] == split]
        references = _references_of(any_scores[split])
        for labeled in fractions:
            parts += _tables(some, titles, references, labeled, split)
        if len(fractions) > 1:
            draw_efficiency(some, titles, out / f'efficiency_{split}.png')
    for labeled in fractions:
        curves = {
            method: [
                read_curves(cell.folder(out))
                for cell in results
                if (cell.method, cell.labeled) == (method, labeled)
            ]
            for method in titles
        }
        name = 'curves' if labeled is None else f'curves_labeled{labeled:g}'
        write_curves(curves, out / f'{name}.csv')
        draw_curves(curves, titles, out / f'{name}.png')
    text = '\n'.join(parts)
    (out / 'results.md').write_text(text)
    return text


def _rows_of(cell: Cell, split: str, scores: Scores, seconds: float) -> list[Row]:
    """Rows of ``results.json`` of one cell and split."""
    return [
        dict(
            method=cell.method,
            seed=cell.seed,
            labeled=cell.labeled,
            split=split,
            model=model,
            **{score: round(scores[f'{model}/{score}'], 4) for score in SCORES},
            threshold=scores[f'{model}/threshold'],
            seconds=round(seconds, 1),
        )
        for model in MODELS
    ]


def _references_of(scores: Scores) -> dict[str, dict[str, float]]:
    """Scores of the maps that look at nothing, by title."""
    return {
        title: {
            key.removeprefix(f'{row}/'): value
            for key, value in scores.items()
            if key.startswith(f'{row}/')
        }
        for row, title in REFERENCES.items()
    }


def _tables(
    rows: Sequence[Row],
    titles: Mapping[str, str],
    references: Mapping[str, Scores],
    labeled: float | None,
    split: str,
) -> Iterator[str]:
    """Yields heading and tables of one split and labeled fraction."""
    share = "the config's lists" if labeled is None else f'{100 * labeled:g} %'
    found = dict.fromkeys(row['seed'] for row in rows if row['labeled'] == labeled)
    seeds = ', '.join(map(str, found))
    yield f'## Labeled: {share}; split: {split}; seeds: {seeds}\n'
    yield score_table(rows, titles, references, labeled) + '\n'
    if 'xpl' in titles and len(titles) > 1:
        yield 'Differences of the same seed, and how many are above 0:\n'
        yield paired_differences(rows, 'xpl', titles, labeled) + '\n'
