"""Configs and weights of transformers' models, from a folder, a name or a dict."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from torch import nn

from mmxpl.models.init import PretrainedError

from .optional import import_optional, weights_error

if TYPE_CHECKING:
    from transformers import PretrainedConfig

_REMEDY = (
    'Without a network, download the whole folder elsewhere and give it as '
    'pretrained=FOLDER, or start from random weights with config=dict(model_type=...) '
    'in place of pretrained.'
)


def read_config(pretrained: str | None, config: dict | None) -> 'PretrainedConfig':
    """Reads the config of a model.

    Args:
        pretrained (str, optional): folder or name on the hub.
        config (dict, optional): with ``model_type`` a whole config, so that nothing is
            read; without it, changes to that of ``pretrained``.

    Returns:
        PretrainedConfig: The config.

    Raises:
        ImportError: If transformers is not installed.
        ValueError: If neither says which model is meant, or a key is unknown.
        PretrainedError: If the folder or the name cannot be read.
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
    """Copies pretrained weights into a network that was built from its config.

    Args:
        net (nn.Module): a model of transformers.
        pretrained (str): folder or name on the hub.

    Raises:
        PretrainedError: If it cannot be read, or lacks weights of the network.
    """
    transformers = import_optional('transformers')
    try:
        with _quiet(transformers):
            # what does not fit is told below
            options = dict(output_loading_info=True, ignore_mismatched_sizes=True)
            whole = transformers.AutoConfig.from_pretrained(pretrained)
            # of a CLAP, from_pretrained leaves the sound's tower as it was drawn
            if whole.model_type == 'clap':
                loaded, info = transformers.ClapModel.from_pretrained(
                    pretrained, **options
                )
                loaded, prefix = loaded.audio_model, 'audio_model.'
            else:
                loaded, info = type(net).from_pretrained(
                    pretrained, config=net.config, **options
                )
                prefix = ''
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


@contextlib.contextmanager
def _quiet(transformers) -> Iterator[None]:
    """Silences the report of weights that are not used: what lacks is an error here."""
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
