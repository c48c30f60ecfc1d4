"""Results of a comparison: rows, and tables of mean ± std and paired differences."""

import statistics
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from mmxpl.evaluation.functional import (
    ALL_RULES,
    REFERENCE_NAMES,
    SWEEP,
    markdown_table,
)

from .cells import Cell

Row = Mapping[str, str | int | float | None]
Scores = Mapping[str, float]

MODEL_TITLES = {'single': 'mean of single nets', 'ens': 'ensemble'}
REFERENCES = {row: REFERENCE_NAMES[row] for row in ('ref/whole', 'ref/disc')}
SCORES = {
    'CIoU@0.5_adaptive': 'CIoU adaptive',
    'AUC_adaptive': 'AUC adaptive',
    'CIoU@0.5_fixed': 'CIoU fixed',
    'AUC_fixed': 'AUC fixed',
    'CIoU@0.5_chosen': 'CIoU chosen',
    'AUC_chosen': 'AUC chosen',
    'CIoU@0.5_fixed_minmax_logit': 'CIoU min-max',
    'AUC_fixed_minmax_logit': 'AUC min-max',
    'CIoU@0.5_median': 'CIoU median',
}


def choose_threshold(val: Mapping[str, float], row: str) -> str:
    """Chooses the rule of :data:`SWEEP` by which a model or reference has the best AUC.

    ``val`` has the scores of the validation split by key. The AUC varies less than
    CIoU@0.5 over few clips. Among equals it is the lowest threshold.
    """
    return max(SWEEP, key=lambda rule: val[f'{row}/AUC_{rule}'])


def with_chosen(
    scores: Mapping[str, float], val: Mapping[str, float], rows: Iterable[str]
) -> dict[str, float]:
    """Adds the scores at the threshold that each row chooses on the validation split.

    Under the rule ``fixed`` (0.5) methods differ mostly in how much of the frame their
    maps cover. Here each row, a model or reference, has its own threshold, chosen on
    clips that are neither trained on nor reported. Added are ``<row>/CIoU@0.5_chosen``
    and ``<row>/AUC_chosen`` in per cent and ``<row>/threshold``, a probability.
    """
    found = dict(scores)
    for row in rows:
        rule = choose_threshold(val, row)
        for score in ('CIoU@0.5', 'AUC'):
            found[f'{row}/{score}_chosen'] = scores[f'{row}/{score}_{rule}']
        found[f'{row}/threshold'] = ALL_RULES[rule].level
    return found


def rows_of(cell: Cell, split: str, scores: Scores, seconds: float) -> list[Row]:
    """Makes the rows of ``results.json`` of one cell and split, one for each model.

    ``scores`` are those of the split by key, in per cent, ``seconds`` those of the
    cell's training.
    """
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
        for model in models_of(scores)
    ]


def models_of(scores: Scores) -> list[str]:
    """Names the models that were scored, without references: ``['a', 'b', 'ens']``."""
    end = '/CIoU@0.5_adaptive'
    names = [key.removesuffix(end) for key in scores if key.endswith(end)]
    return [name for name in names if '/' not in name]


def references_of(scores: Scores) -> dict[str, dict[str, float]]:
    """Selects the scores of the reference rows, by the reference's title."""
    return {
        title: {score: scores[f'{row}/{score}'] for score in SCORES}
        for row, title in REFERENCES.items()
    }


def mean_and_std(values: Collection[float], sign: str = '') -> str:
    """Formats one value, or mean and standard deviation of a sample: ``61.2 ± 0.8``.

    With the sign '+' the mean has one. Without a value the text is empty.
    """
    if not values:
        return ''
    spread = f' ± {statistics.stdev(values):.1f}' if len(values) > 1 else ''
    return f'{statistics.mean(values):{sign}.1f}{spread}'


def with_single(rows: Sequence[Row]) -> list[dict]:
    """Adds a row 'single', the mean of the single nets, to every cell of one split."""
    found = [dict(row) for row in rows]
    by_cell: dict[tuple, list[dict]] = {}
    for row in found:
        if row['model'] != 'ens':
            key = (row['method'], row['labeled'], row['seed'])
            by_cell.setdefault(key, []).append(row)
    for nets in by_cell.values():
        mean = {key: statistics.fmean(net[key] for net in nets) for key in SCORES}
        found.append({**nets[0], 'model': 'single', **mean})
    return found


def scores_by_seed(
    rows: Sequence[Row], method: str, labeled: float | None, model: str, score: str
) -> dict[int, float]:
    """Selects one score, a key of :data:`SCORES`, of a method, in per cent, by seed.

    ``rows`` are of one split; ``model`` is a localizer, 'ens' or, from
    :func:`with_single`, 'single'.
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
    """Formats the scores at one labeled fraction as a Markdown table, in per cent.

    ``rows`` are those of ``results.json`` of one split, ``titles`` by method in the
    order of the table, ``references`` from :func:`references_of`.
    """
    rows, lines = with_single(rows), []
    for method, title in titles.items():
        for model, name in MODEL_TITLES.items():
            found = [scores_by_seed(rows, method, labeled, model, s) for s in SCORES]
            lines.append([title, name, *(mean_and_std(s.values()) for s in found)])
    for title, scores in references.items():
        cells = [f'{scores[score]:.1f}' for score in SCORES]
        lines.append(['reference', title, *cells])
    return markdown_table(['method', 'model', *SCORES.values()], lines, 2)


def paired_differences(
    rows: Sequence[Row], method: str, titles: Mapping[str, str], labeled: float | None
) -> str:
    """Formats the lead of a method over every other, seed by seed.

    Two methods of one seed have the same labeled clips, first weights and batches, so
    their difference varies less than their scores. The Markdown table has mean ± std
    and the number of seeds with a lead. For the arguments see :func:`score_table`.
    """
    rows, lines = with_single(rows), []
    others = {other: title for other, title in titles.items() if other != method}
    for other, title in others.items():
        for model, name in MODEL_TITLES.items():
            cells = []
            for score in SCORES:
                ours = scores_by_seed(rows, method, labeled, model, score)
                theirs = scores_by_seed(rows, other, labeled, model, score)
                leads = [ours[s] - theirs[s] for s in sorted(ours.keys() & theirs)]
                wins = f' ({sum(x > 0 for x in leads)}/{len(leads)})' if leads else ''
                cells.append(mean_and_std(leads, '+') + wins)
            lines.append([title, name, *cells])
    names = [f'{titles[method]} minus', 'model', *SCORES.values()]
    return markdown_table(names, lines, 2)


def format_tables(
    rows: Sequence[Row],
    titles: Mapping[str, str],
    references: Mapping[str, Scores],
    labeled: float | None,
    split: str,
) -> Iterator[str]:
    """Yields heading and tables of one split and labeled fraction, as Markdown.

    Differences are taken from the method named 'xpl', if it is there with others. For
    the arguments see :func:`score_table`.
    """
    share = "the config's lists" if labeled is None else f'{100 * labeled:g} %'
    found = dict.fromkeys(row['seed'] for row in rows if row['labeled'] == labeled)
    seeds = ', '.join(map(str, found))
    yield f'## Labeled: {share}; split: {split}; seeds: {seeds}\n'
    yield score_table(rows, titles, references, labeled) + '\n'
    if 'xpl' in titles and len(titles) > 1:
        yield 'Differences of the same seed, and how many are above 0:\n'
        yield paired_differences(rows, 'xpl', titles, labeled) + '\n'
