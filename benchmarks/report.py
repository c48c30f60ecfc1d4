"""Tables and charts of docs/benchmark*.md, from the results in benchmarks/results/.

Each JSON file there holds the rows of a ``results.json`` of tools/compare_methods.py,
with the scores that are shown: clean.json of configs/xpl/xpl_pretrained.py, wild.json
of configs/xpl/xpl_pretrained_wild.py, those of :data:`WILD` and :data:`WORLDS`, and of
configs/xpl/xpl_synthetic.py. ``--take NAME FILE ...`` makes such a file.
"""

import argparse
import json
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / 'benchmarks/results'
PAGES = (
    'docs/benchmark.md',
    'docs/benchmark_tables.md',
    'docs/benchmark_synthetic.md',
)
SCORES = {
    'CIoU@0.5_adaptive': 'CIoU adaptive',
    'AUC_adaptive': 'AUC adaptive',
    'CIoU@0.5_fixed': 'CIoU at 0.5',
    'CIoU@0.5_fixed_minmax_logit': 'CIoU min-max',
}
TITLES = {
    'xpl': 'XPL',
    'soft': 'soft self-training',
    'mean_teacher': 'mean teacher',
    'dmt': 'DMT',
    'supcon': 'supervised + contrastive',
    'supervised': 'supervised',
    'deaf': 'trained deaf',
    'full': '100 % labels',
    'xpl-no_cross': 'each its own labels',
    'xpl-no_curriculum': 'no curriculum',
    'xpl-no_sharpening': 'no sharpening',
    'xpl-no_ema': 'no PL-EMA',
    'oracle': 'oracle selection',
    'xpl-mixed': 'XPL-mixed',
    'soft-mixed': 'soft self-training, mixed',
    'supcon-mixed': 'supervised + contrastive, mixed',
}
#: File of results by the share of unlabeled clips with another clip's sound.
WILD = {'0': 'clean', '20': 'wild20', '40': 'wild', '60': 'wild60'}
#: Other training or test data by file of results: the test lists that are shown.
WORLDS = {
    'new': ('test_known', 'test_new_photo', 'test_new_sound'),
    'missing': ('test_common', 'test_rare'),
    'tail': ('test', 'test_rare'),
    'openset': ('test_common', 'test_rare'),
    'matched': ('test_heard', 'test_unheard'),
}
MODELS = ('single', 'ens')
SWAPPED = ", another clip's sound"
ADAPTIVE, FIXED, MINMAX = (score for score in SCORES if score.startswith('CIoU'))
# training clips, of which a share is labeled
CLIPS = 2800
KEYS = ('method', 'seed', 'labeled', 'split', 'model', *SCORES)


def take(name: str, files: Sequence[str]) -> None:
    """Copies what is shown of some results.

    Args:
        name (str): Name of the file below benchmarks/results/, without ending.
        files (Sequence[str]): Files ``results.json``.
    """
    rows = [row for file in files for row in json.loads(Path(file).read_text())]
    kept = [{key: row[key] for key in KEYS if key in row} for row in rows]
    # a setting that all methods share is no other method
    for row in kept:
        method, *settings = row['method'].split('+')
        mixed = any(one.startswith('model.mixed_audio') for one in settings)
        row['method'] = method + '-mixed' * mixed
    RESULTS.mkdir(exist_ok=True)
    lines = ',\n'.join(json.dumps(row) for row in kept)
    (RESULTS / f'{name}.json').write_text(f'[\n{lines}\n]\n')


def read(name: str) -> list[dict]:
    """Reads the rows of a file of results."""
    return json.loads((RESULTS / f'{name}.json').read_text())


def scores(rows: Sequence[dict], model: str, score: str, **where) -> dict[int, float]:
    """Collects a score by seed.

    Args:
        rows (Sequence[dict]): Rows of a file of results.
        model (str): 'ens', or 'single' for the mean of the single nets.
        score (str): Key of :data:`SCORES`.
        **where: Values of other keys that a row must have.

    Returns:
        dict[int, float]: Scores in per cent by seed, of rows that have it.
    """
    found: dict[int, list[float]] = {}
    for row in rows:
        if (
            all(row[key] == value for key, value in where.items())
            and (row['model'] == 'ens') == (model == 'ens')
            and score in row
        ):
            found.setdefault(row['seed'], []).append(row[score])
    return {seed: statistics.fmean(values) for seed, values in found.items()}


def mean_and_std(values: Sequence[float], sign: str = '') -> str:
    """Formats mean and standard deviation of the sample."""
    values = list(values)
    spread = f' ± {statistics.stdev(values):.1f}' if len(values) > 1 else ''
    return f'{statistics.fmean(values):{sign}.1f}{spread}'


def deviation(values: Sequence[float]) -> float:
    """Standard deviation of the sample, 0 of a single value."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def lead(
    rows: Sequence[dict], method: str, model: str, key: str = ADAPTIVE, **where
) -> str:
    """Formats what XPL has above a method, and with how many seeds it is above."""
    ours = scores(rows, model, key, method='xpl', **where)
    other = scores(rows, model, key, method=method, **where)
    found = [ours[seed] - other[seed] for seed in other if seed in ours]
    if not found or method == 'xpl':
        return ''
    wins = sum(one > 0 for one in found)
    return f'{mean_and_std(found, "+")} ({wins}/{len(found)})'


def line(rows: Sequence[dict], method: str, *first: str, **where) -> list[str]:
    """Formats a line of :func:`table`; none where nothing was measured."""
    found = [
        scores(rows, model, key, method=method, **where).values()
        for key in (ADAPTIVE, FIXED)
        for model in MODELS
    ]
    if not found[0]:
        return []
    title = TITLES[method] + SWAPPED * (where['split'] == 'swapped')
    cells = [*first, title, str(len(found[0]))]
    cells += [mean_and_std(one) for one in found]
    cells += [lead(rows, method, model, **where) for model in MODELS]
    return [f'| {" | ".join(cells)} |']


def table(rows: Sequence[dict], methods: Sequence[str], **where) -> str:
    """Formats a table of methods, and what XPL has above each with the same seeds.

    Args:
        rows (Sequence[dict]): Rows of a file of results.
        methods (Sequence[str]): Methods, in the order of the lines.
        **where: ``split``, and ``labeled``; without it a line for each share.

    Returns:
        str: Markdown.
    """
    head = ['method', 'seeds', 'single nets', 'ensemble', 'at 0.5: single nets']
    head += ['ensemble', 'XPL above: single nets', 'ensemble']
    if 'labeled' in where:
        lines = [one for method in methods for one in line(rows, method, **where)]
    else:
        head.insert(0, 'labeled')
        lines = [
            one
            for share in sorted({row['labeled'] for row in rows})
            for method in methods
            for one in line(
                rows,
                method,
                f'{100 * share:g} %, {round(CLIPS * share)}',
                labeled=share,
                **where,
            )
        ]
    rule = ' --- |' if 'labeled' in where else ' --- | --- |'
    rule += ' ---: |' * (7)
    return '\n'.join([f'| {" | ".join(head)} |', f'|{rule}', *lines])


def minmax_table(rows: Sequence[dict], methods: Sequence[str], **where) -> str:
    """Formats a table like :func:`table` of the rule ``fixed_minmax_logit`` alone."""
    lines = ['| method | seeds | single nets | ensemble | XPL above | ensemble |']
    lines += ['| --- | ---: | ---: | ---: | ---: | ---: |']
    for method in methods:
        found = [
            scores(rows, model, MINMAX, method=method, **where).values()
            for model in MODELS
        ]
        if found[0]:
            cells = [TITLES[method], str(len(found[0])), *map(mean_and_std, found)]
            cells += [lead(rows, method, model, MINMAX, **where) for model in MODELS]
            lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)


def without_lead(text: str) -> str:
    """Leaves the last two columns of a :func:`table` out."""
    return '\n'.join('|'.join(line.split('|')[:-3]) + '|' for line in text.split('\n'))


def lists_table(rows: Sequence[dict], lists: Sequence[str]) -> str:
    """Formats a table of methods with the adaptive scores on two test lists."""
    head = ['method', 'seeds']
    head += [f'`{name}`: {x}' for name in lists for x in ('single nets', 'ensemble')]
    lines = [f'| {" | ".join(head)} |', '| --- |' + ' ---: |' * (len(head) - 1)]
    for method, title in TITLES.items():
        found = [
            scores(rows, model, ADAPTIVE, method=method, split=name).values()
            for name in lists
            for model in MODELS
        ]
        if found[0]:
            cells = [title, str(len(found[0])), *map(mean_and_std, found)]
            lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)


def wild_table(lines: Sequence[tuple[str, str]]) -> str:
    """Formats the adaptive scores with 5 % labels by the share of wild clips.

    Args:
        lines (Sequence[tuple[str, str]]): Method and split of each line.

    Returns:
        str: Markdown.
    """
    text = [
        f'| method | {" | ".join(f"{share} %" for share in WILD)} |',
        f'| --- |{" ---: |" * len(WILD)}',
    ]
    for method, split in lines:
        cells = [TITLES[method] + SWAPPED * (split == 'swapped')]
        for name in WILD.values():
            where = dict(method=method, labeled=0.05, split=split)
            found = [
                scores(read(name), model, ADAPTIVE, **where).values()
                for model in MODELS
            ]
            both = ' / '.join(map(mean_and_std, found)) if found[0] else ''
            cells.append(f'{both} ({len(found[0])})' if both else '')
        text.append(f'| {" | ".join(cells)} |')
    return '\n'.join(text)


def draw(
    path: Path,
    rows_at: Mapping[float, Sequence[dict]],
    xlabel: str,
    full: Sequence[dict],
    scale: str = 'linear',
) -> None:
    """Draws the methods' adaptive CIoU on 'test' as lines with bands of one deviation.

    Args:
        path (Path): PNG to write.
        rows_at (Mapping[float, Sequence[dict]]): Rows of results by what is varied, in
            per cent.
        xlabel (str): What that is.
        full (Sequence[dict]): Rows with 100 % labels, a line across.
        scale (str): Scale of the horizontal axis.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, dpi=110)
    for axis, model in zip(axes, MODELS, strict=True):
        for method in ('xpl', 'soft', 'dmt', 'mean_teacher', 'supcon'):
            found = {
                x: list(
                    scores(rows, model, ADAPTIVE, method=method, split='test').values()
                )
                for x, rows in rows_at.items()
            }
            x = [x for x, values in found.items() if values]
            mean = [statistics.fmean(found[one]) for one in x]
            spread = [deviation(found[one]) for one in x]
            (drawn,) = axis.plot(x, mean, marker='o', label=TITLES[method])
            low = [m - s for m, s in zip(mean, spread, strict=True)]
            high = [m + s for m, s in zip(mean, spread, strict=True)]
            axis.fill_between(x, low, high, color=drawn.get_color(), alpha=0.2)
        top = scores(full, model, ADAPTIVE, method='full', split='test')
        axis.axhline(
            statistics.fmean(top.values()), color='0.3', ls='--', label=TITLES['full']
        )
        axis.set_xscale(scale)
        axis.set_xticks(list(rows_at), [f'{x:g}' for x in rows_at])
        axis.minorticks_off()
        axis.set_xlabel(xlabel)
        axis.set_title('single nets' if model == 'single' else 'ensemble')
        axis.grid(alpha=0.3)
    axes[0].set_ylabel('CIoU@0.5, adaptive (%)')
    axes[1].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    """Writes the tables and draws the charts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--take', nargs='+', metavar='NAME', help='see above')
    args = parser.parse_args()
    if args.take:
        take(args.take[0], args.take[1:])
        return
    clean, wild, synthetic = map(read, ('clean', 'wild', 'synthetic'))
    background = read('background')
    methods = [name for name in TITLES if '-' not in name]
    parts = ['xpl', *(name for name in TITLES if name.startswith('xpl-no_')), 'oracle']
    # as if all wild clips, and no other, had been left out
    oracle = [{**row, 'method': 'oracle'} for row in read('oracle')]
    mixed = [name for name in TITLES if name.endswith('-mixed')]
    mixed = [x for name in mixed for x in (name.removesuffix('-mixed'), name)]
    shared = ['xpl', 'soft', 'dmt', 'mean_teacher', 'supcon', 'supervised']
    five = dict(labeled=0.05, split='test')
    others = [row for row in clean if row['labeled'] != five['labeled']]
    swapped = table(clean, methods, labeled=0.05, split='swapped')
    tables = {
        'WILD': table(wild, methods, **five),
        'PARTS': table([*wild, *oracle], parts, **five),
        'CLEAN': table(clean, ['xpl', 'xpl-no_curriculum', *methods[1:]], **five),
        'SHARES': table(others, shared, split='test'),
        'MIXWILD': without_lead(table(wild, mixed, **five)),
        'MIXCLEAN': without_lead(table(clean, mixed, **five)),
        'MINMAX': minmax_table(clean, methods, **five),
        'SWAPPED': without_lead(swapped).replace(SWAPPED, ''),
        'WILDSHARES': wild_table(
            [
                *((method, 'test') for method in ('xpl', 'soft', 'supcon')),
                ('xpl', 'swapped'),
            ]
        ),
        'BACKGROUND': '\n'.join(
            [
                table(background, methods, **five),
                *line(background, 'xpl', labeled=0.05, split='swapped'),
            ]
        ),
        'SYNTHETIC': table(synthetic, list(TITLES), **five),
        'PRECISION': without_lead(table(read('synthetic_fp32'), ['xpl'], **five)),
    }
    for name, lists in WORLDS.items():
        tables[name.upper()] = lists_table(read(name), lists)
    pages = {page: (ROOT / page).read_text() for page in PAGES}
    for name, content in tables.items():
        pattern = rf'(<!-- {name} -->\n\n)(\|.*\n)*'
        count = 0
        for page, text in pages.items():
            pages[page], found = re.subn(
                pattern, lambda m, c=content: f'{m[1]}{c}\n', text
            )
            count += found
        if count != 1:
            raise SystemExit(f'{PAGES}: have {count} places for <!-- {name} -->.')
    for page, text in pages.items():
        (ROOT / page).write_text(text)
    figures = ROOT / 'docs/figures'
    shares = sorted({row['labeled'] for row in clean if row['method'] == 'xpl'})
    by_share = {100 * x: [row for row in clean if row['labeled'] == x] for x in shares}
    draw(figures / 'label_efficiency.png', by_share, 'labeled clips (%)', clean, 'log')
    by_wild = {
        int(share): [row for row in read(name) if row['labeled'] == five['labeled']]
        for share, name in WILD.items()
    }
    draw(figures / 'wild.png', by_wild, 'wild unlabeled clips (%)', clean)


if __name__ == '__main__':
    main()
