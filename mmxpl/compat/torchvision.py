"""Import of torchvision without its native library.

``import torchvision`` needs operators that its native library defines. If this does not
load, as PyPI's with a PyTorch without CUDA, the import fails with "operator
torchvision::nms does not exist", although timm and mmpretrain call no operator.
"""

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable

_MISSING = re.compile(r'operator torchvision::\w+ does not exist')
# operators that the import needs
_OPERATORS = ('nms', 'qnms')
_SCHEMA = '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor'
_libraries: list = []  # keeps the definitions alive


def ensure_torchvision() -> None:
    """Makes ``torchvision`` importable if its native library does not load.

    Defines the operators that the import needs; they raise a RuntimeError when they are
    called. Does nothing if torchvision is not installed or can be imported.

    Raises:
        ImportError: If torchvision cannot be imported for another reason; with the
            reason and the remedy.
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
    # remove the modules of the failed import
    for name in set(sys.modules) - before:
        if name.partition('.')[0] == 'torchvision':
            del sys.modules[name]
    _define_operators()
    try:
        importlib.import_module('torchvision')
    except (ImportError, OSError, RuntimeError) as error:
        raise ImportError(_remedy(error)) from error


def _define_operators() -> None:
    """Defines the missing operators."""
    import torch

    library = torch.library.Library('torchvision', 'FRAGMENT')
    _libraries.append(library)
    for name in _OPERATORS:
        if not hasattr(torch.ops.torchvision, name):
            library.define(name + _SCHEMA)
            library.impl(name, _missing_operator(name), 'CompositeExplicitAutograd')


def _missing_operator(name: str) -> Callable:
    """Returns an operator that raises."""

    def missing_operator(*args):
        raise RuntimeError(
            f"The torchvision operator '{name}' was called, but torchvision's native "
            f'library does not load beside this PyTorch. {_pair()}'
        )

    return missing_operator


def _pair() -> str:
    """Returns how to install a matching torchvision."""
    import torch

    return (
        f'Install the torchvision that was built for PyTorch {torch.__version__}: '
        'see the table at https://github.com/pytorch/vision#installation.'
    )


def _remedy(error: Exception) -> str:
    """Returns the error message for a failed import of torchvision."""
    reason = str(error).strip().splitlines()
    return (
        f'torchvision is installed but cannot be imported ({type(error).__name__}: '
        f'{reason[0] if reason else "no message"}). {_pair()}'
    )
