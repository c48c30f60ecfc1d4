"""Reports and comparisons of files of maps as Markdown."""

from collections.abc import Mapping

from mmxpl.utils.ids import name_some

from ..functional import ALL_RULES, REFERENCE_NAMES, markdown_table
from .report import MEASURES

_FOOTNOTE = '\\* below the centred disc, which neither looks nor listens.'
_DEAF_FOOTNOTE = '† below the vision-only maps, which do not listen.'


def format_markdown(report: Mapping, classes: bool = False) -> str:
    """Formats the tables and the protocol of :func:`build_report` as a Markdown page.

    With ``classes``, each class is listed. A score below the centred disc's under the
    same rule, on the same samples, is marked, and one below that of vision-only maps.
    """
    parts = [_main_table(report), _FOOTNOTE]
    if 'vision' in report['reference']:
        parts.append(_DEAF_FOOTNOTE)
    if 'sweep' in report:
        parts.append(_sweep_line(report))
    if 'preset' in report:
        parts.append(_preset_lines(report['preset']))
    for kind, groups in report['groups'].items():
        if kind != 'class' or classes:
            parts.append(_group_table(kind, groups))
    parts.append(format_protocol(report['protocol']))
    return '\n\n'.join(parts) + '\n'


def _main_table(report: Mapping) -> str:
    """Scores of the maps and of the references under each rule."""
    names = {row.removeprefix('ref/'): name for row, name in REFERENCE_NAMES.items()}
    references = [row for row in names if row in report['reference']]
    titles = ['rule', *MEASURES, *(names[row] for row in references)]
    rows = []
    for rule, values in report['scores'].items():
        disc = report['reference']['disc'][rule]
        intervals = report.get('intervals', {}).get(rule, {})
        cells = [f'{rule} ({ALL_RULES[rule].sign})']
        for measure in MEASURES:
            cell = _score(values[measure], disc[measure])
            if f'{rule}/{measure}' in report.get('below_vision', ()):
                cell += '†'
            if measure in intervals:
                low, high = intervals[measure]
                cell += f' [{low:.1f}, {high:.1f}]'
            cells.append(cell)
        cells += [_pair(report['reference'][row][rule]) for row in references]
        rows.append(cells)
    note = 'Per cent. References: CIoU@0.5 / AUC under the same rule.'
    return f'{markdown_table(titles, rows)}\n\n{note}'


def _score(value: float, disc: float) -> str:
    return f'{value:.2f}' + ('\\*' if value < disc else '')


def _pair(values: Mapping[str, float], disc: Mapping[str, float] | None = None) -> str:
    """CIoU@0.5 and AUC in one cell, marked where the disc is better."""
    return ' / '.join(
        f'{values[m]:.2f}' if disc is None else _score(values[m], disc[m])
        for m in ('CIoU@0.5', 'AUC')
    )


def _sweep_line(report: Mapping) -> str:
    best = report['sweep']['best']
    found = [
        f'{name} {row["CIoU@0.5"]:.2f} / {row["AUC"]:.2f} at {row["threshold"]:.2f}'
        for name, row in ((n, b['by_CIoU@0.5']) for n, b in best.items())
        if name in ('maps', 'disc', 'vision')
    ]
    return (
        'Best of 19 fixed thresholds 0.05 ... 0.95, **chosen on the evaluated set '
        f'itself** (CIoU@0.5 / AUC): {", ".join(found)}.'
    )


def _preset_lines(preset: Mapping) -> str:
    found = '; '.join(f'{n}: {_pair(v)}' for n, v in preset['scores'].items())
    lines = [*preset['recipe'], f'  CIoU@0.5 / AUC by this recipe: {found}']
    return '```text\n' + '\n'.join(lines) + '\n```'


def _group_table(kind: str, groups: Mapping[str, Mapping]) -> str:
    """CIoU@0.5 / AUC of each group under each rule."""
    rules = next((list(g['scores']) for g in groups.values() if g['n']), [])
    titles = [kind, 'n', *(f'{r} ({ALL_RULES[r].sign})' for r in rules)]
    rows = []
    for name, group in groups.items():
        cells = [
            _pair(group['scores'][r], group['disc'][r]) if group['n'] else '-'
            for r in rules
        ]
        rows.append([name, str(group['n']), *cells])
    return markdown_table(titles, rows)


def format_protocol(protocol: Mapping) -> str:
    """Formats ``protocol`` of a report as a Markdown list."""
    lines = []
    for key, value in protocol.items():
        if key == 'rules':
            value = '; '.join(f'{name}: {about}' for name, about in value.items())
        elif key == 'missing':
            some = f' ({name_some(value)})' if value else ''
            value = f'{len(value)} ids{some}'
        lines.append(f'- {key}: {value}')
    missing = protocol['n_expected'] - protocol['n_evaluated']
    if missing:
        lines.append(
            f'- **{missing} of {protocol["n_expected"]} expected are MISSING**'
        )
    return '\n'.join(lines)


def _p_value(value: float) -> str:
    return f'{value:.4f}' if value >= 0.00005 else '< 0.0001'


def format_comparison(report: Mapping) -> str:
    """Formats ``comparison``, from :func:`compare_scores`, and ``protocol``."""
    rows = []
    for rule, measures in report['comparison'].items():
        for measure, found in measures.items():
            low, high = found['interval']
            mcnemar = '-'
            if 'p_mcnemar' in found:
                mcnemar = (
                    f'{_p_value(found["p_mcnemar"])} '
                    f'({found["only_first"]}:{found["only_second"]})'
                )
            rows.append(
                [
                    f'{rule} ({ALL_RULES[rule].sign})',
                    measure,
                    f'{found["first"]:.2f}',
                    f'{found["second"]:.2f}',
                    f'{found["difference"]:+.2f} [{low:+.2f}, {high:+.2f}]',
                    _p_value(found['p_sign_flip']),
                    mcnemar,
                ]
            )
    titles = ['rule', 'score', 'A', 'B', 'A - B [95 %]', 'p sign-flip', 'p McNemar']
    card = '\n'.join(f'- {key}: {value}' for key, value in report['protocol'].items())
    note = (
        'Per cent; p two-sided, not corrected for the number of rows. McNemar: p, and '
        'the samples that A alone and B alone gets right.'
    )
    return f'{markdown_table(titles, rows, 2)}\n\n{note}\n\n{card}\n'
