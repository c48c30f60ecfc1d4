import importlib.util
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def check():
    path = ROOT / '.ci/check_model_index.py'
    spec = importlib.util.spec_from_file_location('check_model_index', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def copy(tmp_path):
    """What the index names, to be spoiled."""
    shutil.copytree(ROOT / 'configs', tmp_path / 'configs')
    for name in ('model-index.yml', 'README.md', 'mmxpl/models/semi/xpl.py'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_the_index_is_right(check):
    assert list(check.faults()) == []


METAFILE = 'configs/xpl/metafile.yml'


@pytest.mark.parametrize(
    ('file', 'old', 'new', 'fault'),
    [
        ('model-index.yml', 'configs/xpl/m', 'configs/xpl/n', 'does not exist'),
        ('model-index.yml', '  - configs/xpl/metafile.yml\n', '', 'is not in model-'),
        (METAFILE, 'README.md\n', 'NONE.md\n', "README 'configs/xpl/NONE.md'"),
        (METAFILE, 'Config: configs/xpl/', 'Config: configs/', 'Config'),
        (METAFILE, 'In Collection: XPL', 'In Collection: X', "collection 'X'"),
        (METAFILE, 'Name: xpl_synthetic', 'Name: supcon_synthetic', 'taken'),
        (
            METAFILE,
            'adaptive: 65.9',
            "adaptive: '65.9'",
            "metric 'CIoU@0.5 adaptive' is no number",
        ),
        (METAFILE, 'Weights: not published', 'Weights: soon', "Weights 'soon'"),
        (METAFILE, 'methods/xpl-mixed.py', 'methods/none.py', "Method 'configs/"),
        (METAFILE, '    Weights: not published\n', '', 'Weights None'),
        (METAFILE, 'Models:', 'Models: [', 'cannot be read'),
        ('configs/xpl/xpl_synthetic.py', 'max_epochs', '1/0\nmax_epochs', 'not load'),
    ],
)
def test_faults_are_named(check, copy, file, old, new, fault):
    path = copy / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    assert any(fault in found for found in check.faults(copy))


def test_published_weights_have_a_hash(check, copy):
    path = copy / METAFILE
    text = path.read_text()
    for weights, right in (
        ('https://example.org/xpl-0123abcd.pth', True),
        ('https://example.org/xpl.pth', False),
        ('http://example.org/xpl-0123abcd.pth', False),
    ):
        path.write_text(text.replace('not published', weights))
        assert (list(check.faults(copy)) == []) is right
