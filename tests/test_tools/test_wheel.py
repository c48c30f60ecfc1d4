"""The wheel holds configs, tools and demos where OpenMMLab's mim looks for them."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ('configs', 'demo', 'tools')
KINDS = {'.py', '.sh', '.yml', '.md'}


def listed(folder: Path) -> set[str]:
    """Files that users need, relative to the project."""
    return {
        path.relative_to(folder).as_posix()
        for part in PARTS
        for path in (folder / part).rglob('*')
        if path.suffix in KINDS and '__pycache__' not in path.parts
    }


@pytest.mark.slow
def test_a_wheel_holds_configs_tools_and_demos(tmp_path):
    pytest.importorskip('setuptools', reason='setuptools is not installed')
    # setuptools has it since 70.1; an isolated build would fetch one
    if not find_spec('setuptools.command.bdist_wheel') and not find_spec('wheel'):
        pytest.skip('neither setuptools >= 70.1 nor wheel is installed')
    source = tmp_path / 'source'
    ignore = shutil.ignore_patterns(
        '.git', '.venv', '.mim', 'data', 'work_dirs', 'build', '__pycache__', '*.egg*'
    )
    for name in (*PARTS, 'mmxpl'):
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, source)
    command = [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-index']
    command += ['--no-build-isolation', '--wheel-dir', str(tmp_path), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob('mmxpl-*.whl')
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    inside = {n.removeprefix('mmxpl/.mim/') for n in names if '/.mim/' in n}
    assert inside == listed(ROOT) | {'model-index.yml'}
    assert {'configs/xpl/metafile.yml', 'tools/train.py', 'tools/dist_train.sh'} <= (
        inside
    )
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / 'mmxpl').rglob('*.py')
        if '.mim' not in path.parts
    }
    assert package <= names
    assert not [name for name in names if name.startswith(('tests/', 'benchmarks/'))]
    # the copies are removed when the build is done
    assert not (source / 'mmxpl/.mim').exists()

    # a config of one's own inherits one of the wheel's, as docs/install.md has it
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / 'installed')
    text = (ROOT / 'docs/install.md').read_text()
    (base,) = re.findall(r'^_base_ = .*$', text, re.M)
    child = tmp_path / 'child.py'
    child.write_text(f'{base}\ntrain_cfg = dict(max_epochs=3)\n')
    code = 'from mmengine.config import Config; import mmxpl; print(mmxpl.__file__); '
    code += f'print(Config.fromfile({str(child)!r}).train_cfg.max_epochs)'
    done = subprocess.run(
        [sys.executable, '-c', code],
        cwd=tmp_path,
        env=dict(os.environ, PYTHONPATH=str(tmp_path / 'installed')),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    path, epochs = done.stdout.split()[-2:]
    assert path.startswith(str(tmp_path / 'installed'))
    assert epochs == '3'
