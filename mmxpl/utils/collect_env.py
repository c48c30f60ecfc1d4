"""Report of the installed packages and of what is missing.

Run ``python -m mmxpl.utils.collect_env`` and add its output to bug reports.
"""

import importlib
import platform
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, version

from mmxpl.compat import (
    ensure_mmcv_ops,
    ensure_torchvision,
    has_mmcv_ops,
    has_native_torchaudio,
    torchaudio_transforms,
)
from mmxpl.version import __version__

# name shown, module imported
_PACKAGES = (
    ('PyTorch', 'torch'),
    ('torchaudio', 'torchaudio'),
    ('MMEngine', 'mmengine'),
    ('MMCV', 'mmcv'),
    ('MMDetection', 'mmdet'),
    ('NumPy', 'numpy'),
    ('OpenCV', 'cv2'),
    ('defusedxml', 'defusedxml'),
    ('soundfile', 'soundfile'),
    ('pycocotools', 'pycocotools'),
)
_OPERATORS = 'MMCV compiled operators'
_NATIVE_AUDIO = 'torchaudio native library'
_FOUND = 'found'
_MISSING = 'not installed'


def _installed(module: str) -> str:
    """Names the distributions that provide a module: ``'2.3.6 (onedl-mmcv)'``.

    Two are both named, since one has then overwritten the other.
    """
    names = sorted(set(packages_distributions().get(module, [])))
    found = []
    for name in names:
        try:
            found.append(f'{version(name)} ({name})')
        except PackageNotFoundError:  # metadata of a half-removed package
            continue
    return ', '.join(found) or _MISSING


def _cuda() -> str:
    """Describes the GPUs that PyTorch can use."""
    try:
        torch = importlib.import_module('torch')
    except (ImportError, OSError) as error:
        return f'unknown, PyTorch cannot be imported ({error})'
    if not torch.cuda.is_available():
        return f'none usable (PyTorch built for CUDA {torch.version.cuda})'
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return f'{torch.version.cuda}: {", ".join(names)}'


def collect_env() -> dict[str, str]:
    """Collects the versions of all that a run depends on, in the order to print."""
    env = {
        'mmxpl': __version__,
        'Python': f'{platform.python_version()} ({sys.executable})',
        'platform': platform.platform(),
    }
    env.update((name, _installed(module)) for name, module in _PACKAGES)
    env['CUDA'] = _cuda()
    try:
        env[_OPERATORS] = _FOUND if has_mmcv_ops() else _MISSING
    except ModuleNotFoundError:  # no MMCV at all
        env[_OPERATORS] = _MISSING
    env[_NATIVE_AUDIO] = _FOUND if has_native_torchaudio() else _MISSING
    return env


def consequences(env: dict[str, str]) -> list[str]:
    """Describes what :func:`collect_env` found lacking, and what follows from it."""
    said = []
    missing = [name for name, _ in _PACKAGES if env[name] == _MISSING]
    if missing:
        said.append(
            f'Missing: {", ".join(missing)}. See "Install into your own environment" '
            'in the README.'
        )
    for name in ('MMEngine', 'MMCV', 'MMDetection'):
        if ', ' in env[name]:
            said.append(
                f'{name} was installed twice ({env[name]}) and one has overwritten '
                'files of the other: uninstall both, then install one.'
            )
    if env['MMCV'] != _MISSING:
        said.append(
            'MMCV has no compiled operators: a stand-in takes their place. ResNet, '
            'Swin, MobileNetV2, PVTv2, RegNet and other plain backbones work; a '
            'model that calls an operator stops with an error that names it.'
            if env[_OPERATORS] == _MISSING
            else 'MMCV has its compiled operators: every MMDetection model can be used.'
        )
    if env['torchaudio'] != _MISSING:
        said.append(_about_torchaudio(env))
    if env['CUDA'].startswith('none'):
        said.append(
            'No GPU: training runs on the CPU, --launcher pytorch uses gloo, and '
            '--amp computes in bfloat16.'
        )
    said.append(_about_backbones())
    return said


def _about_torchaudio(env: dict[str, str]) -> str:
    if env[_NATIVE_AUDIO] == _FOUND:
        return 'torchaudio is complete.'
    try:
        torchaudio_transforms()
    except ImportError as error:
        return f'Spectrograms cannot be computed: {error}'
    return (
        'torchaudio has no native library: its transforms, all that is used here, '
        'work without.'
    )


def _about_backbones() -> str:
    ensure_mmcv_ops()
    try:
        # mmpretrain imports it, which mmdet imports where it is installed
        ensure_torchvision()
        importlib.import_module('mmdet.models')
    except Exception as error:  # whatever the reason, it is the finding
        return f'mmdet.models cannot be imported: {type(error).__name__}: {error}'
    return 'mmdet.models imports: its backbones can be named in configs.'


def main() -> None:
    """Prints the environment and what follows from it."""
    env = collect_env()
    width = max(map(len, env))
    for name, value in env.items():
        print(f'{name:<{width}}  {value}')
    print('\nWhat follows:')
    for sentence in consequences(env):
        print(f'- {sentence}')


if __name__ == '__main__':
    main()
