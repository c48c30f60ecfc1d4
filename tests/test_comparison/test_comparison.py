"""What a comparison trains and scores, with both replaced by notes of the calls."""

import csv
import json
import threading
import time
from pathlib import Path

import pytest
from mmengine.config import Config

from mmxpl.comparison import Cell, Comparison, find_method, split_options, write_report
from mmxpl.comparison.methods import settings_of, warm_up_epochs
from mmxpl.comparison.tables import (
    REFERENCES,
    SCORES,
    choose_threshold,
    with_chosen,
)
from mmxpl.evaluation.functional import SWEEP
from mmxpl.utils.errors import DataError

MODELS = ('a', 'b', 'ens')
CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


@pytest.mark.parametrize(
    ('split', 'expected'), [('test', 'test'), ('val', 'val'), ('extra', 'extra')]
)
def test_a_split_reads_its_list_and_is_scored_at_every_threshold(split, expected):
    cfg = Config.fromfile(CONFIGS / 'xpl/xpl_synthetic.py')
    cfg.merge_from_dict(split_options(cfg, split))
    assert cfg.test_dataloader.dataset.id_list == f'{expected}.txt'
    assert cfg.val_dataloader.dataset.id_list == 'val.txt'
    assert set(SWEEP) < set(cfg.test_evaluator.rules)


def test_the_validation_split_chooses_thresholds_and_is_scored_once(
    monkeypatch, tmp_path
):
    trained, scored, read = [], [], set()

    def train(self, cell, cfg, options, warm_start, env):
        settings = settings_of(cfg)
        assert settings['default_hooks.pseudo_label.soft'] is True  # no option
        assert options['train_dataloader.dataset.labeled_fraction'] == 0.05
        assert env['OMP_NUM_THREADS'] == '3'  # the user's, not the machine's
        read.add((self.methods[cell.method].overlay, env['OTHER']))
        trained.append((cell, options['randomness.seed'], warm_start))
        return 60.0

    def score(self, cell, cfg, split, env):
        scored.append((cell, split))
        best = 'fixed_0.30' if split == 'val' else 'fixed_0.80'
        return {
            f'{row}/{name}_{rule}': 70.0 if rule == best else 40.0
            for row in (*MODELS, *REFERENCES)
            for name in ('AUC', 'CIoU@0.5')
            for rule in (*SWEEP, 'adaptive')
        }

    monkeypatch.setenv('OMP_NUM_THREADS', '3')
    monkeypatch.setattr(Comparison, '_train', train)
    monkeypatch.setattr(Comparison, '_score', score)
    names = ('xpl-no_ema', 'xpl')
    methods = {name: find_method(name) for name in names}
    config = CONFIGS / 'xpl/xpl_synthetic.py'
    cells = [Cell(name, 0.05, 4) for name in names]
    env = dict(OTHER='kept')
    results = Comparison(
        tmp_path, config, methods, splits=('val', 'test'), env=env, share_warmup=True
    ).run(cells)
    assert read == {(name, 'kept') for name in names}
    assert list(results) == cells
    # one of both trains the warm-up, first; the other goes on from its end
    (first, _, alone), (second, _, shared) = trained
    assert {first, second} == set(cells)
    assert alone is None
    epochs = warm_up_epochs(Config.fromfile(config))
    assert shared == first.folder(tmp_path) / f'epoch_{epochs}.pth'
    assert sorted(scored, key=str) == sorted(
        ((cell, split) for cell in cells for split in ('val', 'test')), key=str
    )
    scores, seconds = results[cells[0]]
    assert seconds == 60.0
    assert scores['val']['ens/AUC_chosen'] == 70.0
    assert scores['test']['ens/AUC_chosen'] == 40.0  # not where the test is best
    assert scores['test']['ens/threshold'] == pytest.approx(0.3)


def test_a_failed_cell_says_so_while_the_others_go_on(monkeypatch, tmp_path, capsys):
    said, names = [], ('xpl', 'xpl-no_ema', 'supcon')
    cells = [Cell(name, 0.05, 4) for name in names]

    def train(self, cell, cfg, options, warm_start, env):
        if cell == cells[0]:
            raise DataError(f'[{cell}] failed, its log is long')
        if cell == cells[1]:
            raise TypeError('a fault of the program')
        for _ in range(500):
            said.append(capsys.readouterr().err)
            if ''.join(said).count(' seed 4] ') == 2:
                return 60.0
            time.sleep(0.01)
        raise TimeoutError

    monkeypatch.setattr(Comparison, '_train', train)
    monkeypatch.setattr(Comparison, '_score', lambda *args: VAL_OF_ALL)
    methods = {name: find_method(name) for name in names}
    config = CONFIGS / 'xpl/xpl_synthetic.py'
    words = r'^2 of 3 cells failed.*: xpl 5 % seed 4, xpl-no_ema 5 % seed 4\. The same'
    with pytest.raises(DataError, match=words):
        Comparison(tmp_path, config, methods, jobs=3).run(cells)
    text = ''.join(said)
    assert '[xpl 5 % seed 4] failed, its log is long\n' in text
    assert '[xpl-no_ema 5 % seed 4] Traceback' in text
    assert 'TypeError: a fault of the program' in text


def test_a_cell_whose_lender_fails_says_so(monkeypatch, tmp_path, capsys):
    def train(self, cell, cfg, options, warm_start, env):
        raise DataError('it broke')

    monkeypatch.setattr(Comparison, '_train', train)
    names = ('xpl-no_ema', 'xpl')
    methods = {name: find_method(name) for name in names}
    cells = [Cell(name, 0.05, 4) for name in names]
    config = CONFIGS / 'xpl/xpl_synthetic.py'
    with pytest.raises(DataError, match='^2 of 2 cells failed'):
        Comparison(tmp_path, config, methods, share_warmup=True).run(cells)
    words = 'seed 4 failed, whose warm-up it shares.'
    assert capsys.readouterr().err.count(words) == 1


def scores(auc, ciou):
    """Scores of one row, both given as functions of the threshold."""
    return {
        f'ens/{name}_{rule}': function(float(rule.removeprefix('fixed_')))
        for name, function in (('AUC', auc), ('CIoU@0.5', ciou))
        for rule in SWEEP
    }


VAL_OF_ALL = {
    f'{row}/{name}_{rule}': 1.0
    for row in (*MODELS, *REFERENCES)
    for name in ('AUC', 'CIoU@0.5')
    for rule in (*SWEEP, 'adaptive')
}
VAL = scores(lambda t: 50 - 100 * abs(t - 0.3), lambda t: 10 * t)


def test_the_best_auc_of_the_validation_split_chooses():
    assert choose_threshold(VAL, 'ens') == 'fixed_0.30'


def test_of_equals_the_lowest_threshold_is_taken():
    flat = scores(lambda t: 40.0, lambda t: 0.0)
    assert choose_threshold(flat, 'ens') == 'fixed_0.05'


def test_the_other_split_is_scored_there_even_where_it_would_choose_otherwise():
    test = scores(lambda t: 90 - 100 * abs(t - 0.7), lambda t: 100 * t)
    found = with_chosen(test, VAL, ['ens'])
    assert found['ens/threshold'] == pytest.approx(0.3)
    assert found['ens/AUC_chosen'] == pytest.approx(50)
    assert found['ens/CIoU@0.5_chosen'] == pytest.approx(30)
    assert {key: found[key] for key in test} == test


TITLES = {'supcon': 'Supervised', 'xpl': 'Cross'}
SEEDS, FRACTIONS = (3, 4), (0.05, 0.1)


def value(cell, model, split):
    """A score that tells where it is from."""
    lead = {'supcon': 0.0, 'xpl': 2.0 + cell.seed}[cell.method]
    return 40 + lead + 10 * (split == 'val') + MODELS.index(model) + 100 * cell.labeled


def test_a_shared_warm_up_ends_with_a_checkpoint(tmp_path):
    config = CONFIGS / 'xpl/xpl_pretrained.py'  # which saves every fourth epoch
    cell, key = Cell('xpl', 0.05, 0), 'default_hooks.checkpoint.interval'
    for epochs, share, expected in ((12, True, 2), (8, True, None), (12, False, None)):
        methods = {'xpl': find_method('xpl')}
        comparison = Comparison(
            tmp_path, config, methods, epochs=epochs, share_warmup=share
        )
        cfg, options = comparison._plan(cell)
        assert options.get(key) == expected
        assert cfg.default_hooks.checkpoint.interval == (expected or 4)
    for hook, expected in (('_delete_=True', 1), ('by_epoch=False', None)):
        config = tmp_path / f'{expected}.py'
        saving = f"dict({hook}, type='AtomicCheckpointHook')"
        base = CONFIGS / 'xpl/xpl_pretrained.py'
        config.write_text(
            f'_base_ = {str(base)!r}\ndefault_hooks = dict(checkpoint={saving})'
        )
        comparison = Comparison(tmp_path, config, methods, share_warmup=True)
        if expected:  # which saves nothing by itself
            assert comparison._plan(cell)[1][key] == expected
        else:
            with pytest.raises(DataError, match='by_epoch is False'):
                comparison._plan(cell)


def test_a_shared_warm_up_is_lent_while_its_training_goes_on(monkeypatch, tmp_path):
    begun = threading.Event()

    def train(self, cell, cfg, options, warm_start, env):
        if cell.method == 'xpl':
            folder = cell.folder(tmp_path)
            folder.mkdir(parents=True)
            (folder / f'epoch_{warm_up_epochs(cfg)}.pth').touch()
            assert begun.wait(20)
        elif cell.method == 'supcon':
            assert warm_start.exists()
            begun.set()
        return 1.0

    val = {f'{row}/AUC_{rule}': 1.0 for row in REFERENCES for rule in SWEEP}
    val |= {key.replace('AUC', 'CIoU@0.5'): 2.0 for key in val}
    monkeypatch.setattr(Comparison, '_train', train)
    monkeypatch.setattr(Comparison, '_score', lambda *args: val)
    methods = {name: find_method(name) for name in ('supcon', 'supervised', 'xpl')}
    cells = [Cell(name, 0.05, 0) for name in methods]
    config = CONFIGS / 'xpl/xpl_synthetic.py'
    results = Comparison(tmp_path, config, methods, jobs=2, share_warmup=True).run(
        cells
    )
    assert list(results) == cells
    assert begun.is_set()


def test_who_has_nothing_to_train_scores_for_the_first_which_has_its_core(
    monkeypatch, tmp_path
):
    other, together, nice = threading.Event(), threading.Barrier(2, timeout=20), {}

    def train(self, cell, cfg, options, warm_start, env):
        nice[cell.method] = env.get('NICE')
        assert cell.method == 'supervised' or other.wait(20)
        return 1.0

    def score(self, cell, cfg, split, env):
        if cell.method == 'xpl':
            together.wait()
        elif split == 'val':  # the one that is taken last by whoever is alone
            other.set()
        return {
            f'{row}/{name}_{rule}': 1.0
            for row in REFERENCES
            for name in ('AUC', 'CIoU@0.5')
            for rule in SWEEP
        }

    monkeypatch.setattr(Comparison, '_train', train)
    monkeypatch.setattr(Comparison, '_score', score)
    methods = {name: find_method(name) for name in ('xpl', 'supervised')}
    cells = [Cell(name, 0.05, 0) for name in methods]
    config = CONFIGS / 'xpl/xpl_synthetic.py'
    found = Comparison(tmp_path, config, methods, jobs=2, yields=True).run(cells)
    assert list(found) == cells
    assert nice == dict(xpl=None, supervised='10')


def test_nothing_is_trained_beside_a_cell_of_other_settings(monkeypatch, tmp_path):
    """It has the checkpoint of another warm-up, which must not be lent."""
    trained = []
    monkeypatch.setattr(Comparison, '_train', lambda *args: trained.append(args))
    methods = {name: find_method(name) for name in ('supcon', 'xpl')}
    cells = [Cell(name, 0.05, 0) for name in methods]
    folder = cells[1].folder(tmp_path)
    folder.mkdir(parents=True)
    (folder / 'begun.json').write_text('{"made_of": {}}')
    config = CONFIGS / 'xpl/xpl_synthetic.py'
    with pytest.raises(DataError, match=r'begun\.json.*other settings'):
        Comparison(tmp_path, config, methods, jobs=2, share_warmup=True).run(cells)
    assert not trained


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp('written')
    results = {}
    for labeled in FRACTIONS:
        for seed in SEEDS:
            for method in TITLES:
                cell = Cell(method, labeled, seed)
                log = cell.folder(out) / '2026/vis_data/scalars.json'
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
    return write_report(results, TITLES, ['test', 'val'], out), out


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
