import importlib
import subprocess
import sys
from importlib.util import find_spec

import pytest

import mmxpl.compat as bridge

# a torchvision whose native library does not load, as far as its import goes
PACKAGE = """
import torch
from torchvision import extension
@torch.library.register_fake('torchvision::nms')
def fake(dets, scores, iou_threshold):
    return dets.new_empty(0)
@torch.library.register_fake('torchvision::qnms')
def fake(dets, scores, iou_threshold):
    return dets.new_empty(0)
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Writes a torchvision that is found first, and forgets it afterwards."""
    folder = tmp_path / 'torchvision'
    folder.mkdir()
    (folder / 'extension.py').touch()
    kept = {n: m for n, m in sys.modules.items() if n.split('.')[0] == 'torchvision'}
    for name in kept:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)

    yield lambda text: (folder / '__init__.py').write_text(text)
    for name in [n for n in sys.modules if n.split('.')[0] == 'torchvision']:
        del sys.modules[name]
    sys.modules.update(kept)


def test_missing_operators_are_defined_and_name_themselves(tmp_path):
    (tmp_path / 'torchvision').mkdir()
    (tmp_path / 'torchvision' / 'extension.py').touch()
    (tmp_path / 'torchvision' / '__init__.py').write_text(PACKAGE)
    # in a new process, since operators cannot be taken back
    code = (
        f'import sys; sys.path.insert(0, {str(tmp_path)!r})\n'
        'from mmxpl.compat import ensure_torchvision\n'
        'ensure_torchvision()\n'
        'import torch, torchvision\n'
        'first = torchvision\n'
        'ensure_torchvision()\n'
        'import torchvision\n'
        'print(torchvision is first)\n'
        'for op in (torch.ops.torchvision.nms, torch.ops.torchvision.qnms):\n'
        '    try:\n'
        '        op(torch.zeros(1, 4), torch.zeros(1), 0.5)\n'
        '    except RuntimeError as error:\n'
        '        print(error)\n'
    )
    result = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    same, nms, qnms = result.stdout.strip().splitlines()
    assert same == 'True'
    assert "'nms' was called" in nms
    assert 'Install the torchvision' in nms
    assert "'qnms' was called" in qnms


@pytest.mark.parametrize(
    'text',
    [
        'raise ImportError("libcudart.so.13: cannot open")',
        'raise OSError("libcudart.so.13: cannot open")',
        'raise RuntimeError("libcudart.so.13: cannot open")',
    ],
)
def test_another_fault_is_explained(package, monkeypatch, text):
    package(text)
    monkeypatch.setattr(bridge, '_define_operators', pytest.fail)
    with pytest.raises(ImportError, match='libcudart.so.13.*Install the torchvision'):
        bridge.ensure_torchvision()


def test_what_can_be_imported_is_left_alone(package, monkeypatch):
    package('from torchvision import extension')
    monkeypatch.setattr(bridge, '_define_operators', pytest.fail)
    bridge.ensure_torchvision()
    bridge.ensure_torchvision()
    assert importlib.import_module('torchvision').extension


def test_a_missing_package_is_none_of_its_business(monkeypatch):
    monkeypatch.delitem(sys.modules, 'torchvision', raising=False)
    monkeypatch.setattr(bridge.importlib.util, 'find_spec', lambda name: None)
    monkeypatch.setattr(bridge.importlib, 'import_module', pytest.fail)
    bridge.ensure_torchvision()


@pytest.mark.skipif(find_spec('torchvision') is None, reason='not installed')
def test_the_installed_one_can_be_imported():
    bridge.ensure_torchvision()
    assert importlib.import_module('torchvision').models.resnet18
