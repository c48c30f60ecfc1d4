"""What must stand beside a score for it to mean something."""

from collections.abc import Mapping, Sequence
from functools import partial

from torch import Tensor

from .ciou import auc, success_rate
from .thresholds import ALL_RULES, RULES
from .upsample import INTERPOLATIONS

REFERENCE_NAMES = {
    'ref/disc': 'centred disc',
    'ref/whole': 'whole image',
    'ref/prior': 'mean-GT prior',
    'ref/oracle': 'oracle',
}
"""dict[str, str]: reference rows as the table calls them."""


def summarise(
    cious: Mapping[str, Tensor],
    rules: Sequence[str],
    ciou_thresholds: Sequence[float] = (0.5,),
) -> dict[str, float]:
    """Scores of each row under each rule, in per cent.

    Args:
        cious (Mapping[str, Tensor]): (N, R) for each row, with N > 0.
        rules (Sequence[str]): The R names.
        ciou_thresholds (Sequence[float]): The t of CIoU@t. Defaults to (0.5,).

    Returns:
        dict[str, float]: ``<row>/CIoU@<t>_<rule>`` and ``<row>/AUC_<rule>``.
    """
    measures = {
        f'CIoU@{t:g}': partial(success_rate, threshold=t) for t in ciou_thresholds
    } | {'AUC': auc}
    scores = {}
    for row, values in cious.items():
        for name, score in measures.items():
            per_rule = (100 * score(values.T)).tolist()
            scores |= {
                f'{row}/{name}_{rule}': value
                for rule, value in zip(rules, per_rule, strict=True)
            }
    return scores


def format_table(
    scores: Mapping[str, float],
    rows: Sequence[str],
    rules: Sequence[str] = tuple(RULES),
) -> str:
    """Scores of models, the reference rows beneath.

    Args:
        scores (Mapping[str, float]): What :func:`summarise` gave.
        rows (Sequence[str]): Models and references in the order of the table,
            ``'ref/disc'`` among them.
        rules (Sequence[str]): The rules to show. Defaults to :data:`RULES`.

    Returns:
        str: Several lines. A score below the centred disc's is marked.
    """
    width = max(map(len, [*rows, *REFERENCE_NAMES.values()])) + 2
    titles = ''.join(f'{f"{name} ({ALL_RULES[name].sign})":^22}' for name in rules)
    lines = [
        ' ' * width + titles,
        ' ' * width + f'{"CIoU@0.5":>10} {"AUC":>8}   ' * len(rules),
    ]
    models = [row for row in rows if row not in REFERENCE_NAMES]
    references = [row for row in rows if row in REFERENCE_NAMES]
    lines += [_format_row(scores, row, width, rules) for row in models]
    lines.append('-' * (width + len(titles)))
    lines += [_format_row(scores, row, width, rules) for row in references]
    lines.append('* below the centred disc, which neither looks nor listens')
    return '\n'.join(line.rstrip() for line in lines)


def _format_row(
    scores: Mapping[str, float], row: str, width: int, rules: Sequence[str]
) -> str:
    """One line of the table."""
    line = f'{REFERENCE_NAMES.get(row, row):<{width}}'
    for rule in rules:
        for key, space in ((f'CIoU@0.5_{rule}', 10), (f'AUC_{rule}', 8)):
            score = scores[f'{row}/{key}']
            below = row not in REFERENCE_NAMES and score < scores[f'ref/disc/{key}']
            line += f'{score:{space}.2f}' + ('*' if below else ' ')
        line += '  '
    return line


def format_card(
    size: int,
    n_evaluated: int,
    n_expected: int,
    ids_hash: str,
    rules: Sequence[str] = tuple(RULES),
    interpolation: str = 'bilinear',
    list_name: str | None = None,
) -> str:
    """How the scores of :func:`format_table` came about.

    Args:
        size (int): Side of the scored maps in pixels.
        n_evaluated (int): How many samples were scored.
        n_expected (int): How many there should have been.
        ids_hash (str): See :func:`mmxpl.utils.hash_ids`.
        rules (Sequence[str]): The rules that were used. Defaults to :data:`RULES`.
        interpolation (str): How maps came to that size, see
            :data:`INTERPOLATIONS`. Defaults to ``'bilinear'``.
        list_name (str, optional): Which test list this is. Defaults to None: not
            said.

    Returns:
        str: Several lines.
    """
    mode, align_corners = INTERPOLATIONS[interpolation]
    about = '; '.join(f'{n}: {ALL_RULES[n].sign} {ALL_RULES[n].about}' for n in rules)
    return '\n'.join(
        [
            f'maps: {size}x{size}, {mode}, align_corners={align_corners}',
            f'rules: {about}',
            'scores: per cent; AUC over the thresholds 0, 0.05 ... 1',
            format_counts(n_evaluated, n_expected, ids_hash, list_name),
        ]
    )


def format_counts(
    n_evaluated: int, n_expected: int, ids_hash: str, list_name: str | None = None
) -> str:
    """Which samples were scored, the card's last line.

    Args:
        n_evaluated (int): How many samples were scored.
        n_expected (int): How many there should have been.
        ids_hash (str): See :func:`mmxpl.utils.hash_ids`.
        list_name (str, optional): Which test list this is. Defaults to None: not
            said.

    Returns:
        str: One line.
    """
    missing = n_expected - n_evaluated
    return (
        f'samples: {n_evaluated} evaluated of {n_expected} expected'
        + (f' ({missing} MISSING)' if missing > 0 else '')
        + f', id list {ids_hash}'
        + (f' ({list_name})' if list_name else '')
    )
