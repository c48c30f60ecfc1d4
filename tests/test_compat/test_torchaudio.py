import importlib
import importlib.util
from types import SimpleNamespace

import pytest

import mmxpl.compat as bridge


@pytest.fixture
def broken_import(monkeypatch):
    """Makes the import of torchaudio raise a given error."""
    real = importlib.import_module

    def install(error):
        def import_module(name, *args):
            if name.startswith('torchaudio'):
                raise error
            return real(name, *args)

        monkeypatch.setattr(bridge.importlib, 'import_module', import_module)

    return install


@pytest.fixture
def fake_torchaudio(monkeypatch, tmp_path):
    """Pretends that torchaudio is installed in a folder with a native library."""
    (tmp_path / 'lib').mkdir()
    (tmp_path / 'lib' / '__init__.py').touch()
    spec = SimpleNamespace(origin=str(tmp_path / '__init__.py'))
    monkeypatch.setattr(bridge.importlib.util, 'find_spec', lambda name: spec)
    return tmp_path / 'lib'


def test_transforms_compute_a_spectrogram():
    torch = pytest.importorskip('torch')
    transforms = bridge.torchaudio_transforms()
    wave = torch.sin(torch.arange(1024) * 2 * torch.pi * 32 / 256)
    spectrum = transforms.Spectrogram(n_fft=256, center=False)(wave)
    assert spectrum.mean(1).argmax() == 32


def test_native_libraries_are_found_without_an_import(fake_torchaudio):
    assert bridge.native_libraries() == []
    (fake_torchaudio / '_torchaudio.abi3.so').touch()
    (fake_torchaudio / 'moved.abi3.so.disabled').touch()
    assert [p.name for p in bridge.native_libraries()] == ['_torchaudio.abi3.so']


@pytest.mark.parametrize(
    'error',
    [
        OSError('libc10_cuda.so: cannot open shared object file'),
        RuntimeError('PyTorch has CUDA version 13.2 whereas TorchAudio has 13.0'),
    ],
)
def test_unfit_native_library_is_explained(error, broken_import, fake_torchaudio):
    (fake_torchaudio / '_torchaudio.abi3.so').touch()
    broken_import(error)
    assert not bridge.has_native_torchaudio()
    with pytest.raises(ImportError) as caught:
        bridge.torchaudio_transforms()
    message = str(caught.value)
    assert str(error) in message
    assert 'torchaudio==2.11' in message
    assert f'rename the files {fake_torchaudio}/*.so' in message
    assert caught.value.__cause__ is error


def test_other_failure_does_not_blame_a_library_that_is_not_there(
    broken_import, fake_torchaudio
):
    broken_import(ImportError('cannot import name x'))
    with pytest.raises(ImportError) as caught:
        bridge.torchaudio_transforms()
    assert 'rename' not in str(caught.value)


def test_missing_package_is_named(broken_import, monkeypatch):
    broken_import(ModuleNotFoundError("No module named 'torchaudio'"))
    monkeypatch.setattr(bridge.importlib.util, 'find_spec', lambda name: None)
    assert not bridge.has_native_torchaudio()
    with pytest.raises(ImportError, match='torchaudio is not installed'):
        bridge.torchaudio_transforms()
