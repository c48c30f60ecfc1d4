"""Pretrained weights: optional packages, configs, loading and checks."""

import contextlib
import importlib
import importlib.util
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from mmengine.model import BaseAveragedModel, BaseModule
from torch import Tensor, nn

from mmxpl.compat import ensure_torchvision
from mmxpl.utils import DataError

# what AVDataPreprocessor normalises frames with by default, in [0, 1]
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class PretrainedError(DataError):
    """Error of pretrained weights that could not be loaded."""


def import_optional(name: str) -> ModuleType:
    """Imports a package that only some encoders need, timm or transformers.

    Raises an ImportError, with the command that installs it, if it is missing or cannot
    be imported.
    """
    if importlib.util.find_spec(name) is None:
        release = torch.__version__.partition('+')[0]
        raise ImportError(
            f'{name} is not installed; the encoder that the config names needs it. '
            f'Install it beside the PyTorch that is there: pip install '
            f'"torch=={release}" {name}, or the extra "encoders" of mmxpl.'
        )
    ensure_torchvision()
    return importlib.import_module(name)


def weights_error(source: str, error: Exception, remedy: str) -> PretrainedError:
    """Makes the error for weights that cannot be loaded from a file, folder or name."""
    reason = (str(error).strip().splitlines() or ['no message'])[0]
    return PretrainedError(
        f"The weights of '{source}' cannot be loaded ({type(error).__name__}: "
        f'{reason}). {remedy}'
    )


class Renormalize(nn.Module):
    """Converts frames from ImageNet's normalisation to another one.

    Args:
        mean (Sequence[float]): RGB mean of the result, in [0, 1].
        std (Sequence[float]): RGB deviation of the result, in [0, 1].
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.mean, self.std = tuple(mean), tuple(std)
        old_mean, old_std, new_mean, new_std = (
            torch.tensor(x, dtype=torch.float64).view(3, 1, 1)
            for x in (IMAGENET_MEAN, IMAGENET_STD, self.mean, self.std)
        )
        scale, shift = old_std / new_std, (old_mean - new_mean) / new_std
        self.register_buffer('scale', scale.float(), persistent=False)
        self.register_buffer('shift', shift.float(), persistent=False)

    def forward(self, img: Tensor) -> Tensor:
        """Converts (B, 3, H, W) frames; the same tensor if nothing changes."""
        if (self.mean, self.std) == (IMAGENET_MEAN, IMAGENET_STD):
            return img
        return img * self.scale + self.shift

    def extra_repr(self) -> str:
        """Shows the normalisation in the printed network."""
        return f'mean={self.mean}, std={self.std}'


if TYPE_CHECKING:
    from transformers import PretrainedConfig

_REMEDY = (
    'Without a network, download the whole folder elsewhere and give it as '
    'pretrained=FOLDER, or start from random weights with config=dict(model_type=...) '
    'in place of pretrained.'
)


def read_config(pretrained: str | None, config: dict | None) -> 'PretrainedConfig':
    """Reads the config of a model of transformers.

    ``pretrained`` is a folder or a name on the hub; a PretrainedError says that it
    cannot be read. ``config`` is a whole one if it has ``model_type``, otherwise
    changes to that of ``pretrained``. A ValueError says that neither names a model, or
    that a key is unknown.
    """
    transformers = import_optional('transformers')
    config = dict(config or {})
    if 'model_type' in config:
        read = transformers.AutoConfig.for_model(**config)
    elif pretrained:
        try:
            read = transformers.AutoConfig.from_pretrained(pretrained, **config)
        except Exception as error:  # whatever a network, a hub or a file throws
            raise weights_error(pretrained, error, _REMEDY) from error
    else:
        raise ValueError(
            'Which model? Give pretrained (a folder or a name on the hub) or config '
            '(a dict with its model_type).'
        )
    known = {'model_type', *type(read)().to_dict(), *type(read).attribute_map}
    if unknown := set(config) - known:
        raise ValueError(f'config: {type(read).__name__} has no {sorted(unknown)}.')
    return read


def load_weights(net: nn.Module, pretrained: str) -> None:
    """Copies pretrained weights into a model of transformers, built from its config.

    Raises a PretrainedError if they cannot be read, or are not all there.
    """
    transformers = import_optional('transformers')
    try:
        with _quiet(transformers):
            # weights that do not fit are refused below
            options = dict(output_loading_info=True, ignore_mismatched_sizes=True)
            whole = transformers.AutoConfig.from_pretrained(pretrained)
            # from_pretrained of CLAP's sound tower alone would leave random weights
            kind, prefix = type(net), ''
            if whole.model_type == 'clap':
                kind, prefix = transformers.ClapModel, 'audio_model.'
            else:
                options['config'] = net.config
            loaded, info = kind.from_pretrained(pretrained, **options)
            loaded = loaded.audio_model if prefix else loaded
    except Exception as error:  # whatever a network, a hub or a file throws
        raise weights_error(pretrained, error, _REMEDY) from error
    weights, wanted = loaded.state_dict(), set(net.state_dict())
    drawn = [*info['missing_keys'], *(key for key, *_ in info['mismatched_keys'])]
    found = set(weights) - {key.removeprefix(prefix) for key in drawn}
    # the norms that backbone classes add are in no published weights
    missing = {k for k in wanted - found if not k.startswith('hidden_states_norms.')}
    if missing:
        raise PretrainedError(
            f"'{pretrained}' does not hold the weights of {type(net).__name__}: "
            f'{len(missing)} of {len(wanted)} are not in it, or of another shape, such '
            f"as '{min(missing)}'."
        )
    net.load_state_dict({key: weights[key] for key in wanted})


class HFModule(BaseModule):
    """A model of transformers that loads pretrained weights when training starts.

    For the arguments see :func:`read_config`; a ValueError refuses ``init_cfg`` beside
    ``pretrained``.
    """

    net: nn.Module

    def __init__(
        self, pretrained: str | None, config: dict | None, init_cfg: dict | list | None
    ) -> None:
        super().__init__(init_cfg)
        if pretrained and init_cfg:
            raise ValueError(
                'pretrained and init_cfg each say where weights come from: give one.'
            )
        self.pretrained = pretrained
        # whether settings of the input are read from the folder, as the config is
        self._reads_settings = 'model_type' not in (config or {})

    def init_weights(self) -> None:
        """Loads the weights that training starts from.

        Raises a PretrainedError if they cannot be loaded, are incomplete, or expect
        other settings of the input than the config has.
        """
        if self.pretrained:
            load_weights(self.net, self.pretrained)
            if not self._reads_settings:
                self._check_settings()
        super().init_weights()

    @abstractmethod
    def _check_settings(self) -> None:
        """Compares the settings of the input with those of the folder."""


@contextlib.contextmanager
def _quiet(transformers) -> Iterator[None]:
    """Silences the report of unused weights; missing ones are an error here."""
    logging = transformers.logging
    before, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bar:
            logging.enable_progress_bar()


def pretrained_parts(model: nn.Module) -> Iterator[tuple[str, nn.Module, str]]:
    """Yields name, module and checkpoint of what starts from a checkpoint.

    That is each ``init_cfg=dict(type='Pretrained', checkpoint=...)``, not those within
    averaged copies, which start as what they average.
    """
    copies = {m for m in model.modules() if isinstance(m, BaseAveragedModel)}
    for name, module in model.named_modules(memo=copies):
        cfgs = getattr(module, 'init_cfg', None) or ()
        for cfg in [cfgs] if isinstance(cfgs, dict) else cfgs:
            if cfg['type'] == 'Pretrained':
                yield name, module, cfg['checkpoint']


def without_init_cfg(cfg: Any) -> Any:
    """Copies a config, or a part of one, without ``init_cfg`` at any depth."""
    if isinstance(cfg, Mapping):
        return {k: without_init_cfg(v) for k, v in cfg.items() if k != 'init_cfg'}
    if isinstance(cfg, list | tuple):
        return type(cfg)(without_init_cfg(part) for part in cfg)
    return cfg


def initialisation_error(model: nn.Module, error: Exception) -> PretrainedError:
    """Makes the error, with module, file and remedies, of a failed initialisation."""
    parts = list(pretrained_parts(model))
    missing = [
        part
        for part in parts
        if '://' not in part[2] and not Path(part[2]).expanduser().is_file()
    ]
    named = ', '.join(f"{name} from '{file}'" for name, _, file in missing or parts)
    reason = (str(error) or repr(error)).splitlines()[0].rstrip('.')
    return PretrainedError(
        f'pretrained weights cannot be loaded ({named}): {reason}. Without a network '
        'download the file elsewhere and name it in init_cfg.checkpoint (for '
        'xpl_r18.py: MMXPL_RESNET18=FILE in the environment), or set init_cfg to None '
        'to train from scratch (MMXPL_RESNET18=none).'
    )


def check_loaded(model: nn.Module, init_info: dict) -> None:
    """Checks that every checkpoint was loaded into the module that names it.

    ``init_info`` is MMEngine's record of how each parameter was initialised. A
    PretrainedError says that no weight of a checkpoint fits.
    """
    for name, module, file in pretrained_parts(model):
        infos = [init_info[p]['init_info'] for p in module.parameters()]
        if not any(info.startswith('PretrainedInit') for info in infos):
            raise PretrainedError(
                f"'{file}' holds no weights for {name}: none of its {len(infos)} "
                "parameters was found. Is it another network's? A part of a detector "
                "needs init_cfg.prefix, such as 'backbone.'."
            )
