import importlib.util
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope='module')
def setup_env():
    path = Path(__file__).resolve().parents[2] / 'tools' / 'setup_env.py'
    spec = importlib.util.spec_from_file_location('mmxpl_tools_setup_env', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def commands(setup_env, monkeypatch):
    """Commands that would be run; `python -m venv` makes the folders it would."""
    ran = []

    def run(python, *arguments):
        ran.append(arguments)
        if arguments[:2] == ('-m', 'venv'):
            bin_folder = Path(arguments[2]) / 'bin'
            bin_folder.mkdir()
            (bin_folder / 'python').symlink_to(sys.executable)

    monkeypatch.setattr(setup_env, 'run', run)
    return ran


def test_new_environment_is_marked_as_its_own(setup_env, commands, tmp_path):
    venv = tmp_path / 'venv'
    assert setup_env.make_environment(venv) == venv / 'bin' / 'python'
    assert (venv / setup_env.MARKER).exists()
    # nothing to do the second time
    setup_env.make_environment(venv)
    assert commands == [('-m', 'venv', str(venv))]


@pytest.mark.parametrize('kind', ['environment', 'file'])
def test_what_it_did_not_make_is_refused_and_kept(setup_env, commands, tmp_path, kind):
    venv = tmp_path / 'venv'
    if kind == 'file':
        venv.write_text('mine')
    else:
        venv.mkdir()
        (venv / 'pyvenv.cfg').write_text('mine')
    with pytest.raises(setup_env.SetupError, match='was not made by this script'):
        setup_env.make_environment(venv)
    assert commands == []
    assert (venv if kind == 'file' else venv / 'pyvenv.cfg').read_text() == 'mine'
    assert kind == 'file' or len(list(venv.iterdir())) == 1


def test_interrupted_environment_is_made_anew(setup_env, commands, tmp_path):
    venv = tmp_path / 'venv'
    (venv / 'lib').mkdir(parents=True)
    (venv / 'pyvenv.cfg').touch()
    (venv / setup_env.MARKER).touch()
    setup_env.make_environment(venv)
    assert commands == [('-m', 'venv', str(venv))]
    assert not (venv / 'lib').exists()
    assert (venv / setup_env.MARKER).exists()


def test_failing_command_stops_with_its_words(setup_env):
    with pytest.raises(setup_env.SetupError, match='failed: .* -c'):
        setup_env.run(Path(sys.executable), '-c', 'raise SystemExit(3)')


@pytest.fixture
def torchaudio(setup_env, monkeypatch, tmp_path):
    """A torchaudio with two libraries, whose import fails as `fails` says."""
    for name in ('_torchaudio.so', 'libtorchaudio.so', '__init__.py'):
        (tmp_path / name).touch()

    def install(fails):
        monkeypatch.setattr(setup_env, 'torchaudio_library', lambda python: tmp_path)
        monkeypatch.setattr(
            setup_env,
            'import_error',
            lambda python: (
                'OSError: no' if fails(list(tmp_path.glob('*.so'))) else None
            ),
        )

    return install


def names(folder):
    return sorted(path.name for path in folder.iterdir())


WHOLE = ['__init__.py', '_torchaudio.so', 'libtorchaudio.so']
MOVED = ['__init__.py', '_torchaudio.so.disabled', 'libtorchaudio.so.disabled']


def test_fitting_library_stays(setup_env, torchaudio, tmp_path):
    torchaudio(lambda libraries: False)
    setup_env.check_torchaudio('python')
    assert names(tmp_path) == WHOLE


def test_unfit_library_is_moved_and_told(setup_env, torchaudio, tmp_path, capsys):
    torchaudio(bool)
    setup_env.check_torchaudio('python')
    assert names(tmp_path) == MOVED
    assert 'OSError: no' in capsys.readouterr().out
    # once more, with the same PyTorch and with one that fits
    setup_env.check_torchaudio('python')
    assert names(tmp_path) == MOVED
    torchaudio(lambda libraries: False)
    setup_env.check_torchaudio('python')
    assert names(tmp_path) == WHOLE


def test_library_that_is_not_at_fault_stays(setup_env, torchaudio, tmp_path):
    torchaudio(lambda libraries: True)
    with pytest.raises(setup_env.SetupError, match='OSError: no'):
        setup_env.check_torchaudio('python')
    assert names(tmp_path) == WHOLE
