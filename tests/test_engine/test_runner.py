from types import SimpleNamespace

import pytest
from mmengine.config import Config
from mmengine.evaluator import Evaluator

from mmxpl.engine.runner import CheckedRunner, build_runner
from mmxpl.evaluation import CIoUMetric
from mmxpl.registry import MODELS
from mmxpl.testing import tiny_model_cfg
from mmxpl.utils.errors import DataError


def check(models):
    loop = SimpleNamespace(evaluator=Evaluator([CIoUMetric(models=models)]))
    runner = SimpleNamespace(
        model=MODELS.build(tiny_model_cfg()), _val_loop=loop, _test_loop=None
    )
    CheckedRunner._check_metrics(runner)


def test_metrics_of_unknown_models_are_refused_before_training():
    check(None)
    check(['a', 'ens'])
    with pytest.raises(DataError, match='CIoUMetric has zz, .* predicts a, b, ens'):
        check(['a', 'zz'])


def test_the_layout_of_the_written_config_changes_no_value(monkeypatch):
    cfg = Config(dict(a=dict(b=(1, 'x'), c=[None, dict(d=2)]), e={'f.g': 0.1, 'h': {}}))
    formatted = cfg.pretty_text
    monkeypatch.setattr(CheckedRunner, 'from_cfg', lambda cfg: cfg)
    assert build_runner(cfg) is cfg
    assert cfg.pretty_text != formatted
    for text in (formatted, cfg.pretty_text, cfg.copy().pretty_text):
        assert Config.fromstring(text, '.py').to_dict() == cfg.to_dict()
