"""What a comparison trains and scores, with both replaced by notes of the calls."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmxpl.comparison import (
    Cell,
    Comparison,
    find_method,
    split_options,
    warm_up_epochs,
)
from mmxpl.comparison import comparison as module
from mmxpl.evaluation.functional import SWEEP

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

    def train_cell(cell, path, overlay, options, settings, out, env, **kwargs):
        assert settings['default_hooks.pseudo_label.soft'] is True  # no option
        assert options['train_dataloader.dataset.labeled_fraction'] == 0.05
        read.add((overlay, env['OTHER']))
        trained.append((cell, options['randomness.seed'], kwargs['warm_start']))
        return 60.0

    def score_cell(cell, path, split, options, out, env):
        scored.append((cell, split))
        best = 'fixed_0.30' if split == 'val' else 'fixed_0.80'
        return {
            f'{row}/{name}_{rule}': 70.0 if rule == best else 40.0
            for row in module.ROWS
            for name in ('AUC', 'CIoU@0.5')
            for rule in SWEEP
        }

    monkeypatch.setattr(module, 'train_cell', train_cell)
    monkeypatch.setattr(module, 'score_cell', score_cell)
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
