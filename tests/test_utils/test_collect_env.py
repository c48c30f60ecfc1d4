import re
import subprocess

import pytest

from mmxpl.utils import collect_env as module


def test_report_names_versions_and_consequences(warm_python):
    result = subprocess.run(
        [warm_python, '-m', 'mmxpl.utils.collect_env'],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    import torch

    for pattern in (
        rf'^PyTorch +{re.escape(torch.__version__)} \(torch\)$',
        r'^MMDetection +\d+\.\d+\S* \((onedl-mmdetection|mmdet)\)$',
        r'^MMCV compiled operators +(found|not installed)$',
        r'^torchaudio native library +(found|not installed)$',
        r'^- mmdet\.models imports',
    ):
        assert re.search(pattern, result.stdout, re.MULTILINE), pattern


@pytest.fixture
def env():
    """An environment in which all is well."""
    names = [name for name, _ in module._PACKAGES]
    return {
        **dict.fromkeys(names, '1.0 (x)'),
        'CUDA': '13.0: GPU',
        module._OPERATORS: module._FOUND,
        module._NATIVE_AUDIO: module._FOUND,
    }


def test_nothing_to_complain_of(env):
    assert module.consequences(env)[:-1] == [
        'MMCV has its compiled operators: every MMDetection model can be used.',
        'torchaudio is complete.',
    ]


def test_missing_packages_are_listed(env):
    env['soundfile'] = env['MMCV'] = module._MISSING
    said = module.consequences(env)
    assert said[0].startswith('Missing: MMCV, soundfile.')
    # nothing is said about the operators of an MMCV that is not there
    assert not any('operators' in sentence for sentence in said)


def test_two_distributions_of_one_module_are_pointed_out(env):
    env['MMEngine'] = '0.10.12 (onedl-mmengine), 0.10.7 (mmengine)'
    assert 'uninstall both' in module.consequences(env)[0]


def test_no_gpu_and_unusable_torchaudio(env, monkeypatch):
    def fail():
        raise ImportError('the reason')

    monkeypatch.setattr(module, 'torchaudio_transforms', fail)
    env['CUDA'] = 'none usable (PyTorch built for CUDA None)'
    env[module._NATIVE_AUDIO] = module._MISSING
    text = '\n'.join(module.consequences(env))
    assert 'Spectrograms cannot be computed: the reason' in text
    assert 'gloo' in text


def test_distributions_are_told_apart(monkeypatch):
    monkeypatch.setattr(
        module, 'packages_distributions', lambda: {'mmcv': ['onedl-mmcv', 'mmcv']}
    )
    monkeypatch.setattr(
        module, 'version', lambda name: '2.1' if name == 'mmcv' else '3'
    )
    assert module._installed('mmcv') == '2.1 (mmcv), 3 (onedl-mmcv)'
    assert module._installed('mmengine') == module._MISSING
