"""Report of an inspection."""

from collections.abc import Iterator, Mapping

from mmxpl.utils.ids import name_some


def count_problems(report: Mapping) -> dict[str, int]:
    """Counts problems by kind.

    Args:
        report (Mapping): Results of the checks, ``lists``, ``leaks``, ``annotations``,
            ``missing``, ``media`` and ``content_leaks``, each optional.

    Returns:
        dict[str, int]: Number of cases by kind; empty if there is no problem.
    """
    return {name: len(ids) for name, ids in _problems(report) if ids}


def format_report(report: Mapping) -> str:
    """Formats the report as text.

    Args:
        report (Mapping): See :func:`count_problems`.

    Returns:
        str: Several lines.
    """
    lines = [
        f'{one["split"]:<6} {one["count"]:>7} clips, id hash {one["id_list_hash"]}, '
        f'{one["path"]}'
        for one in report.get('lists', ())
    ]
    if 'annotations' in report:
        facts = report['annotations']
        lines.append(f'annotations: {facts["count"]} clips, {facts["boxes"]} boxes')
    if 'media' in report:
        facts = report['media']
        lines.append(f'media: {facts["count"]} clips with frame and sound')
        rates = (f'{rate} Hz: {n}' for rate, n in facts['rates'].items())
        lines.append('  sample rates  ' + ', '.join(rates))
        lengths = (f'{name}: {n}' for name, n in facts['durations'].items())
        lines.append('  durations     ' + ', '.join(lengths))
    problems = [(name, ids) for name, ids in _problems(report) if ids]
    lines.append('problems:' if problems else 'no problem found')
    for name, ids in problems:
        lines.append(f'  {name}: {len(ids)} ({name_some([str(i) for i in ids])})')
    return '\n'.join(lines)


def _problems(report: Mapping) -> Iterator[tuple[str, list]]:
    """Yields every kind of problem with its cases, possibly none."""
    for one in report.get('lists', ()):
        yield f'twice in {one["path"]}', one['duplicates']
    for name, leak in report.get('leaks', {}).items():
        left, right = name.split('_')
        both = 'two train lists' if left == right else f'{left} and {right}'
        yield f'ids in {both}', leak['ids']
    yield from report.get('missing', {}).items()
    wordings = dict(
        out_of_range='clips with boxes that reach out of the frame',
        without_area='clips with boxes without area within the frame',
        empty='clips with no box left within the frame',
        bad_mask='clips with a mask that is damaged or empty',
        other_shape='clips annotated in a picture of other proportions than the frame',
        unannotated='evaluated clips without annotation',
    )
    for key, wording in wordings.items():
        yield wording, report.get('annotations', {}).get(key, [])
    media = report.get('media', {})
    yield (
        'unreadable clips',
        [f'{i}: {r}' for i, r in media.get('unreadable', {}).items()],
    )
    yield 'silent sounds', media.get('silent', [])
    yield (
        'sounds whose channels cancel each other when mixed to one',
        media.get('cancelling', []),
    )
    yield (
        'clips whose frame is shown while no sound is stored',
        media.get('unheard', []),
    )
    for key, wording in (('same_frame', 'frames'), ('same_sound', 'sounds')):
        groups = [' = '.join(group) for group in media.get(key, [])]
        yield f'groups of files with the same {wording}', groups
    for name, groups in report.get('content_leaks', {}).items():
        left, right = name.split('_')
        yield f'contents in {left} and {right}', [' = '.join(g) for g in groups]
