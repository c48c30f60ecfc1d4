"""Summaries of scores: tables with reference rows and the protocol card."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from .ciou import INTERPOLATIONS, auc, success_rate
from .thresholds import ALL_RULES, RULES

REFERENCE_NAMES = {
    'ref/disc': 'centred disc',
    'ref/whole': 'whole image',
    'ref/prior': 'mean-GT prior',
    'ref/vision': 'vision only',
    'ref/oracle': 'oracle',
}
"""dict[str, str]: names of the reference rows in tables."""


def summarise_row(
    cious: Tensor, rules: Sequence[str], ciou_thresholds: Sequence[float] = (0.5,)
) -> dict[str, float]:
    """Computes the scores of one row under R rules, in per cent.

    (N, R) CIoU, N > 0, give ``CIoU@<t>_<rule>`` for each t and ``AUC_<rule>``.
    """
    scores = {f'CIoU@{t:g}': success_rate(cious.T, t) for t in ciou_thresholds}
    scores['AUC'] = auc(cious.T)
    return {
        f'{name}_{rule}': value
        for name, values in scores.items()
        for rule, value in zip(rules, (100 * values).tolist(), strict=True)
    }


def format_table(
    rows: Mapping[str, Mapping[str, float]], rules: Sequence[str] = tuple(RULES)
) -> str:
    """Formats the scores of models with the reference rows beneath, several lines.

    ``rows`` are those of :func:`summarise_row` by model or reference, in the order of
    the table, ``'ref/disc'`` among them. A score below that one's is marked.
    """
    width = max(map(len, [*rows, *REFERENCE_NAMES.values()])) + 2
    titles = ''.join(f'{f"{name} ({ALL_RULES[name].sign})":^22}' for name in rules)
    lines = [
        ' ' * width + titles,
        ' ' * width + f'{"CIoU@0.5":>10} {"AUC":>8}   ' * len(rules),
    ]
    beneath = ['-' * (width + len(titles))]
    for row in rows:
        part = beneath if row in REFERENCE_NAMES else lines
        part.append(_format_row(rows, row, width, rules))
    lines += [*beneath, '* below the centred disc, which neither looks nor listens']
    return '\n'.join(line.rstrip() for line in lines)


def _format_row(
    rows: Mapping[str, Mapping], row: str, width: int, rules: Sequence[str]
) -> str:
    line = f'{REFERENCE_NAMES.get(row, row):<{width}}'
    for rule in rules:
        for key, space in ((f'CIoU@0.5_{rule}', 10), (f'AUC_{rule}', 8)):
            score = rows[row][key]
            below = row not in REFERENCE_NAMES and score < rows['ref/disc'][key]
            line += f'{score:{space}.2f}' + ('*' if below else ' ')
        line += '  '
    return line


def markdown_table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], num_texts: int = 1
) -> str:
    """Formats a Markdown table, whose first columns are left-aligned texts.

    Args:
        titles (Sequence[str]): Title of each column.
        rows (Sequence[Sequence[str]]): Cells of each row.
        num_texts (int): Number of left-aligned columns; the others are numbers.
    """
    rules = ['---'] * num_texts + ['---:'] * (len(titles) - num_texts)
    lines = (' | '.join(cells) for cells in (titles, rules, *rows))
    return '\n'.join(f'| {line} |' for line in lines)


def describe_rules(rules: Sequence[str]) -> str:
    """Describes rules by name, comparison sign and threshold, in one line."""
    return '; '.join(f'{n}: {ALL_RULES[n].sign} {ALL_RULES[n].about}' for n in rules)


def format_rules(size: int, rules: Sequence[str] = tuple(RULES)) -> str:
    """Formats how maps, scored at ``size`` pixels by ``rules``, became scores."""
    mode, align_corners = INTERPOLATIONS['bilinear']
    return (
        f'maps: {size}x{size}, {mode}, align_corners={align_corners}\n'
        f'rules: {describe_rules(rules)}\n'
        'scores: per cent; AUC over the thresholds 0, 0.05 ... 1'
    )


def format_counts(
    n_evaluated: int, n_expected: int, ids_hash: str, list_name: str | None = None
) -> str:
    """Formats the numbers of samples, the last line of a protocol card.

    Args:
        n_evaluated (int): Number of samples that were scored.
        n_expected (int): Number of samples of the protocol's list.
        ids_hash (str): See :func:`mmxpl.utils.hash_ids`.
        list_name (str, optional): Name of the test list, if it is known.
    """
    missing = n_expected - n_evaluated
    return (
        f'samples: {n_evaluated} evaluated of {n_expected} expected'
        + (f' ({missing} MISSING)' if missing > 0 else '')
        + f', id list {ids_hash}'
        + (f' ({list_name})' if list_name else '')
    )
