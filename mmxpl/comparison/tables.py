"""Tables of a comparison: mean ± std over seeds, and paired differences."""

import statistics
from collections.abc import Mapping, Sequence

Row = Mapping[str, str | int | float | None]

SCORES = {
    'CIoU@0.5_adaptive': 'CIoU adaptive',
    'AUC_adaptive': 'AUC adaptive',
    'CIoU@0.5_fixed': 'CIoU fixed',
    'AUC_fixed': 'AUC fixed',
    'CIoU@0.5_chosen': 'CIoU chosen',
    'AUC_chosen': 'AUC chosen',
    'CIoU@0.5_median': 'CIoU median',
}
MODEL_TITLES = {'a': 'A', 'b': 'B', 'single': 'mean of A and B', 'ens': 'ensemble'}


def mean_and_std(values: Sequence[float]) -> str:
    """Writes a mean with the standard deviation of the sample.

    Args:
        values (Sequence[float]): one value a seed.

    Returns:
        str: such as ``61.2 ± 0.8``; of one value, that value.
    """
    mean = f'{statistics.mean(values):.1f}'
    if len(values) == 1:
        return mean
    return f'{mean} ± {statistics.stdev(values):.1f}'


def with_single(rows: Sequence[Row]) -> list[dict]:
    """Adds a row 'single', the mean of A and B, to every cell.

    Args:
        rows (Sequence[Row]): rows of ``results.json``, of one split.

    Returns:
        list[dict]: these rows and the new ones.
    """
    found = [dict(row) for row in rows]
    by_cell: dict[tuple, list[dict]] = {}
    for row in found:
        if row['model'] in ('a', 'b'):
            key = (row['method'], row['labeled'], row['seed'])
            by_cell.setdefault(key, []).append(row)
    for pair in by_cell.values():
        if len(pair) == 2:
            mean = {key: (pair[0][key] + pair[1][key]) / 2 for key in SCORES}
            found.append({**pair[0], 'model': 'single', **mean})
    return found


def scores_by_seed(
    rows: Sequence[Row], method: str, labeled: float | None, model: str, score: str
) -> dict[int, float]:
    """Picks one score of a method.

    Args:
        rows (Sequence[Row]): rows of ``results.json``.
        method (str): the method.
        labeled (float, optional): the labeled fraction.
        model (str): 'a', 'b', 'ens' or, once added, 'single'.
        score (str): key of the score.

    Returns:
        dict[int, float]: score by seed, in per cent.
    """
    wanted = (method, labeled, model)
    return {
        row['seed']: row[score]
        for row in rows
        if (row['method'], row['labeled'], row['model']) == wanted
    }


def score_table(
    rows: Sequence[Row],
    titles: Mapping[str, str],
    references: Mapping[str, Mapping[str, float]],
    labeled: float | None,
) -> str:
    """Writes the scores at one labeled fraction as a Markdown table.

    Args:
        rows (Sequence[Row]): rows of ``results.json``.
        titles (Mapping[str, str]): title by method, in the order of the table.
        references (Mapping[str, Mapping[str, float]]): title of a map that
            looks at nothing to its scores.
        labeled (float, optional): the labeled fraction.

    Returns:
        str: the table, in per cent.
    """
    rows = with_single(rows)
    lines = _head(['method', 'model', *SCORES.values()])
    for method, title in titles.items():
        for model in ('single', 'ens'):
            cells = []
            for score in SCORES:
                values = scores_by_seed(rows, method, labeled, model, score)
                cells.append(mean_and_std(list(values.values())) if values else '')
            lines.append(_line([title, MODEL_TITLES[model], *cells]))
    for title, scores in references.items():
        cells = [f'{scores[score]:.1f}' for score in SCORES]
        lines.append(_line(['reference', title, *cells]))
    return '\n'.join(lines)


def paired_differences(
    rows: Sequence[Row],
    method: str,
    titles: Mapping[str, str],
    labeled: float | None,
) -> str:
    """Writes how far a method leads every other, seed by seed.

    Two methods of one seed have the same labeled clips, first weights and
    batches, so that their difference varies less than their scores.

    Args:
        rows (Sequence[Row]): rows of ``results.json``.
        method (str): the method that is compared.
        titles (Mapping[str, str]): title by method, in the order of the table.
        labeled (float, optional): the labeled fraction.

    Returns:
        str: Markdown table of mean ± std and how often it was ahead.
    """
    rows = with_single(rows)
    lines = _head([f'{titles[method]} minus', 'model', *SCORES.values()])
    for other, title in titles.items():
        if other == method:
            continue
        for model in ('single', 'ens'):
            cells = []
            for score in SCORES:
                ours = scores_by_seed(rows, method, labeled, model, score)
                theirs = scores_by_seed(rows, other, labeled, model, score)
                leads = [ours[s] - theirs[s] for s in sorted(ours.keys() & theirs)]
                ahead = sum(lead > 0 for lead in leads)
                cells.append(
                    f'{_signed(leads)} ({ahead}/{len(leads)})' if leads else ''
                )
            lines.append(_line([title, MODEL_TITLES[model], *cells]))
    return '\n'.join(lines)


def _signed(values: Sequence[float]) -> str:
    """Writes a mean difference with its sign."""
    text = mean_and_std(values)
    return text if text.startswith('-') else f'+{text}'


def _head(names: Sequence[str]) -> list[str]:
    """First two lines of a Markdown table: two columns of text, then numbers."""
    rule = ['---', '---', *['---:'] * (len(names) - 2)]
    return [_line(names), _line(rule)]


def _line(cells: Sequence[str]) -> str:
    """One line of a Markdown table."""
    return '| ' + ' | '.join(cells) + ' |'
