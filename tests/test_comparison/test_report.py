"""What a comparison leaves behind."""

import csv
import json

import pytest

from mmxpl.comparison import MODELS, REFERENCES, SCORES, Cell, write_report

TITLES = {'supcon': 'Supervised', 'xpl': 'Cross'}
SEEDS, FRACTIONS = (3, 4), (0.05, 0.1)


def value(cell, model, split):
    """A score that tells where it is from."""
    lead = {'supcon': 0.0, 'xpl': 2.0 + cell.seed}[cell.method]
    return 40 + lead + 10 * (split == 'val') + MODELS.index(model) + 100 * cell.labeled


@pytest.fixture
def written(tmp_path):
    results = {}
    for labeled in FRACTIONS:
        for seed in SEEDS:
            for method in TITLES:
                cell = Cell(method, labeled, seed)
                log = cell.folder(tmp_path) / '2026/vis_data/scalars.json'
                log.parent.mkdir(parents=True)
                log.write_text(
                    f'{{"a.loss_supervised": {seed}, "epoch": 1, "step": 9}}\n'
                )
                scores = {}
                for split in ('test', 'val'):
                    scores[split] = {f'{m}/threshold': 0.4 for m in MODELS}
                    for key in SCORES:
                        for model in MODELS:
                            scores[split][f'{model}/{key}'] = value(cell, model, split)
                        for row in REFERENCES:
                            scores[split][f'{row}/{key}'] = 12.5
                results[cell] = (scores, 61.26)
    return write_report(results, TITLES, ['test', 'val'], tmp_path), tmp_path


def test_a_row_for_every_method_seed_fraction_split_and_model(written):
    rows = json.loads((written[1] / 'results.json').read_text())
    assert len(rows) == 2 * 2 * 2 * 2 * 3
    for row in rows:
        cell = Cell(row['method'], row['labeled'], row['seed'])
        expected = value(cell, row['model'], row['split'])
        assert all(row[key] == pytest.approx(expected) for key in SCORES)
        assert (row['threshold'], row['seconds']) == (0.4, 61.3)


def test_tables_of_every_fraction_and_split(written):
    text, out = written
    assert (out / 'results.md').read_text() == text
    headings = [line for line in text.splitlines() if line.startswith('##')]
    assert headings == [
        f'## Labeled: {share} %; split: {split}; seeds: 3, 4'
        for split in ('test', 'val')
        for share in (5, 10)
    ]
    # 5 %, test: 40 + 5 + 2 of the ensemble, and 2 + 3 or 2 + 4 of the method
    assert '| Supervised | ensemble | 47.0 ± 0.0 |' in text
    assert '| Cross | ensemble | 52.5 ± 0.7 |' in text
    assert '| Supervised | ensemble | +5.5 ± 0.7 (2/2) |' in text
    assert '| reference | centred disc | 12.5 |' in text


def test_curves_and_figures(written):
    _, out = written
    for fraction in FRACTIONS:
        with open(out / f'curves_labeled{fraction}.csv', newline='') as file:
            rows = list(csv.DictReader(file))
        assert [(r['method'], r['run'], r['value']) for r in rows] == [
            (method, str(run), str(seed))
            for method in TITLES
            for run, seed in enumerate(SEEDS)
        ]
        assert (out / f'curves_labeled{fraction}.png').stat().st_size > 1000
    for split in ('test', 'val'):
        assert (out / f'efficiency_{split}.png').stat().st_size > 1000


def test_one_method_and_the_config_s_lists(tmp_path):
    scores = {f'{m}/threshold': 0.4 for m in MODELS}
    for row in (*MODELS, *REFERENCES):
        scores |= {f'{row}/{key}': 50.0 for key in SCORES}
    results = {Cell('xpl', None, 0): ({'test': scores}, 1.0)}
    text = write_report(results, {'xpl': 'Cross'}, ['test'], tmp_path)
    assert "## Labeled: the config's lists; split: test; seeds: 0" in text
    assert 'Differences' not in text
    assert not list(tmp_path.glob('*.png'))
    assert (tmp_path / 'curves.csv').exists()
