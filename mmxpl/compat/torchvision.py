"""Lets torchvision be imported beside a PyTorch that its native library does not fit.

``import torchvision`` registers shapes for operators that its native library
defines. Where that library cannot be loaded, as PyPI's, which links CUDA, cannot
beside a PyTorch without CUDA, the import stops with "operator torchvision::nms does
not exist", although timm and mmpretrain call none of the operators.
"""

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable

_MISSING = re.compile(r'operator torchvision::\w+ does not exist')
# those that the import needs
_OPERATORS = ('nms', 'qnms')
_SCHEMA = '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor'
_libraries: list = []  # definitions last as long as their library


def ensure_torchvision() -> None:
    """Makes ``torchvision`` importable where its native library does not load.

    The operators that the import asks for are defined, and raise a RuntimeError
    that names the remedy when they are called. Nothing is done where torchvision
    is imported already, can be imported, or is not installed.

    Raises:
        ImportError: If torchvision is installed and cannot be imported for another
            reason. The message gives the reason and says what to do.
    """
    if 'torchvision' in sys.modules or importlib.util.find_spec('torchvision') is None:
        return
    before = set(sys.modules)
    try:
        importlib.import_module('torchvision')
        return
    except (ImportError, OSError, RuntimeError) as error:
        if not _MISSING.search(str(error)):
            raise ImportError(_remedy(error)) from error
    # what the attempt left is of a torchvision without operators
    for name in set(sys.modules) - before:
        if name.partition('.')[0] == 'torchvision':
            del sys.modules[name]
    _define_operators()
    try:
        importlib.import_module('torchvision')
    except (ImportError, OSError, RuntimeError) as error:
        raise ImportError(_remedy(error)) from error


def _define_operators() -> None:
    """Defines the operators that are not there."""
    import torch

    library = torch.library.Library('torchvision', 'FRAGMENT')
    _libraries.append(library)
    for name in _OPERATORS:
        if not hasattr(torch.ops.torchvision, name):
            library.define(name + _SCHEMA)
            library.impl(name, _missing_operator(name), 'CompositeExplicitAutograd')


def _missing_operator(name: str) -> Callable:
    """Makes an operator that raises."""

    def missing_operator(*args):
        raise RuntimeError(
            f"The torchvision operator '{name}' was called, but torchvision's native "
            f'library does not load beside this PyTorch. {_pair()}'
        )

    return missing_operator


def _pair() -> str:
    """Says how a matching torchvision is had."""
    import torch

    return (
        f'Install the torchvision that was built for PyTorch {torch.__version__}: '
        'see the table at https://github.com/pytorch/vision#installation.'
    )


def _remedy(error: Exception) -> str:
    """Writes what to do about a failed import of torchvision."""
    reason = str(error).strip().splitlines()
    return (
        f'torchvision is installed but cannot be imported ({type(error).__name__}: '
        f'{reason[0] if reason else "no message"}). {_pair()}'
    )
