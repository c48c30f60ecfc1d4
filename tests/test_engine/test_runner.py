from types import SimpleNamespace

import pytest
from mmengine.evaluator import Evaluator

from mmxpl.engine.runner import CheckedRunner
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
