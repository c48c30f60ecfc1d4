from pathlib import Path

import pytest
from mmengine.config import Config

from mmxpl.engine.embedded_config import embedded_config, refuse_unregistered
from mmxpl.models.init import without_init_cfg
from mmxpl.utils import DataError
from mmxpl.utils.setup_env import register_all_modules

CONFIGS = Path(__file__).parents[2] / 'configs'


def of(text):
    return embedded_config(dict(meta=dict(cfg=text)), 'x.pth')


@pytest.mark.parametrize(
    'path', sorted(CONFIGS.glob('xpl/*.py')), ids=lambda path: path.stem
)
def test_every_config_comes_back(path):
    register_all_modules(init_default_scope=False)
    cfg = Config.fromfile(path)
    found = of(cfg.pretty_text)
    assert found.to_dict() == Config.fromstring(cfg.pretty_text, '.py').to_dict()
    model = without_init_cfg(found.model)  # as it is built for inference
    refuse_unregistered([model, found.test_dataloader.dataset.pipeline], 'x.pth')


def test_plain_values():
    cfg = of("a = dict(x=[1, -2.5, (None, True)], y={'k-1': dict(z='s')})\nb = 1e-3\n")
    assert cfg.to_dict() == dict(
        a=dict(x=[1, -2.5, (None, True)], y={'k-1': dict(z='s')}), b=1e-3
    )


@pytest.mark.parametrize(
    'text',
    [
        "import os\nos.system('true')",
        "a = __import__('os').system('true')",
        'a = dict(**b)',
        'a = {**b}',
        "a = dict([('x', 1)])",
        'a = [x for x in y]',
        "a = eval('1')",
        'a = b = 1',
        'a, b = 1, 2',
        'a.b = 1',
        "a = f'{b}'",
        'def f(): pass',
        'a = (',
        '\0',
        'a = ' + '[' * 5000 + ']' * 5000,
    ],
)
def test_code_is_refused_and_not_run(text):
    with pytest.raises(DataError, match=r"'x\.pth' is more than plain values"):
        of(text)


@pytest.mark.parametrize('state', [{}, dict(meta=None), dict(meta=dict(cfg=3))])
def test_no_config(state):
    with pytest.raises(DataError, match='holds no config'):
        embedded_config(state, 'x.pth')


@pytest.mark.parametrize(
    'cfg',
    [
        dict(type='os.system', command='true'),
        dict(type='XPL', localizers=dict(a=dict(type='subprocess.run'))),
        [dict(type='PackAVInputs'), dict(type='mmengine.load', file='x.pkl')],
        dict(type='builtins.exec'),
        dict(type='this'),
        dict(type=['XPL']),
        dict(type='XPL', _scope_='os'),
        dict(type='mmxpl.utils.cli.load_config'),
    ],
)
def test_types_that_are_not_registered(cfg):
    register_all_modules(init_default_scope=False)
    with pytest.raises(DataError, match='no registered model or transform'):
        refuse_unregistered(cfg, 'x.pth')
