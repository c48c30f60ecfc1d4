"""What must stand beside a score for it to mean something."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from .ciou import auc, success_rate
from .thresholds import RULES

REFERENCE_NAMES = {
    'ref/disc': 'centred disc',
    'ref/whole': 'whole image',
    'ref/prior': 'mean-GT prior',
    'ref/oracle': 'oracle',
}
"""dict[str, str]: reference rows as the table calls them."""


def summarise(cious: Mapping[str, Tensor], rules: Sequence[str]) -> dict[str, float]:
    """Scores of each row under each rule, in per cent.

    Args:
        cious (Mapping[str, Tensor]): (N, R) for each row, with N > 0.
        rules (Sequence[str]): The R names.

    Returns:
        dict[str, float]: ``<row>/CIoU@0.5_<rule>`` and ``<row>/AUC_<rule>``.
    """
    scores = {}
    for row, values in cious.items():
        for name, score in (('CIoU@0.5', success_rate), ('AUC', auc)):
            per_rule = (100 * score(values.T)).tolist()
            scores |= {
                f'{row}/{name}_{rule}': value
                for rule, value in zip(rules, per_rule, strict=True)
            }
    return scores


def format_table(scores: Mapping[str, float], rows: Sequence[str]) -> str:
    """Scores of models, the reference rows beneath.

    Args:
        scores (Mapping[str, float]): What :func:`summarise` gave for all rules.
        rows (Sequence[str]): Models and references in the order of the table,
            ``'ref/disc'`` among them.

    Returns:
        str: Several lines. A score below the centred disc's is marked.
    """
    width = max(map(len, [*rows, *REFERENCE_NAMES.values()])) + 2
    titles = ''.join(f'{f"{name} ({rule.sign})":^22}' for name, rule in RULES.items())
    lines = [
        ' ' * width + titles,
        ' ' * width + f'{"CIoU@0.5":>10} {"AUC":>8}   ' * len(RULES),
    ]
    models = [row for row in rows if row not in REFERENCE_NAMES]
    references = [row for row in rows if row in REFERENCE_NAMES]
    lines += [_format_row(scores, row, width) for row in models]
    lines.append('-' * (width + len(titles)))
    lines += [_format_row(scores, row, width) for row in references]
    lines.append('* below the centred disc, which neither looks nor listens')
    return '\n'.join(line.rstrip() for line in lines)


def _format_row(scores: Mapping[str, float], row: str, width: int) -> str:
    """One line of the table."""
    line = f'{REFERENCE_NAMES.get(row, row):<{width}}'
    for rule in RULES:
        for key, space in ((f'CIoU@0.5_{rule}', 10), (f'AUC_{rule}', 8)):
            score = scores[f'{row}/{key}']
            below = row not in REFERENCE_NAMES and score < scores[f'ref/disc/{key}']
            line += f'{score:{space}.2f}' + ('*' if below else ' ')
        line += '  '
    return line


def format_card(size: int, n_evaluated: int, n_expected: int, ids_hash: str) -> str:
    """How the scores of :func:`format_table` came about.

    Args:
        size (int): Side of the scored maps in pixels.
        n_evaluated (int): How many samples were scored.
        n_expected (int): How many there should have been.
        ids_hash (str): See :func:`mmxpl.utils.hash_ids`.

    Returns:
        str: Several lines.
    """
    rules = '; '.join(f'{n}: {r.sign} {r.about}' for n, r in RULES.items())
    missing = n_expected - n_evaluated
    return '\n'.join(
        [
            f'maps: {size}x{size}, bilinear, align_corners=True',
            f'rules: {rules}',
            'scores: per cent; AUC over the thresholds 0, 0.05 ... 1',
            f'samples: {n_evaluated} evaluated of {n_expected} expected'
            + (f' ({missing} MISSING)' if missing > 0 else '')
            + f', id list {ids_hash}',
        ]
    )
