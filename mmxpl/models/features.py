"""Features of frozen encoders, for a cache of them."""

import hashlib
import json
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mmxpl.utils import DataError

from .pretrained import without_init_cfg

KINDS = dict(visual='visual_backbone', sound='audio_encoder')


def encoder_of(learner: nn.Module, name: str, kind: str) -> nn.Module:
    """Returns an encoder, of kind 'visual' or 'sound', whose features may be cached.

    Raises a DataError if the learner trains it.
    """
    encoder = getattr(learner.localizers[name], KINDS[kind])
    if any(p.requires_grad for p in encoder.parameters()):
        raise DataError(
            f'model.localizers.{name}.{KINDS[kind]} is trained, so that its '
            'features cannot be cached: set frozen=True in the localizer, or '
            'cache=None in LoadFeatures.'
        )
    return encoder


def encoder_settings(model_cfg: Mapping, learner: nn.Module) -> dict[str, dict]:
    """Collects the settings that features depend on, except those of the data.

    They are plain JSON values by localizer and kind ('visual', 'sound'): config of the
    encoder, hash of its weights, and normalisation or front end of its input. The
    learner is initialised. A DataError says that it trains an encoder.
    """
    settings: dict[str, dict] = {}
    preprocessor = model_cfg['data_preprocessor']
    for name, cfg in model_cfg['localizers'].items():
        cfg = model_cfg['localizers'][cfg] if isinstance(cfg, str) else cfg
        given = dict(
            visual={key: preprocessor.get(key) for key in ('mean', 'std')},
            sound=(preprocessor.get('audio') or {}).get(cfg.get('audio_input')),
        )
        settings[name] = {}
        for kind, part in KINDS.items():
            encoder = encoder_of(learner, name, kind)
            entry = dict(
                encoder=without_init_cfg(cfg[part]),
                input=given[kind],
                weights=weights_digest(encoder),
            )
            settings[name][kind] = json.loads(json.dumps(entry))
    return settings


def weights_digest(module: nn.Module) -> str:
    """Hashes weights and buffers: 12 hexadecimal digits of the SHA-256."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


@torch.no_grad()
def encode(
    learner: nn.Module, name: str, kind: str, inputs: dict[str, Tensor]
) -> tuple[Tensor, list[Sequence[int]]]:
    """Encodes a batch of frames or sounds into rows of a cache.

    ``inputs`` are ``img`` (B, 3, H, W) uint8 BGR, or ``audio`` (B, T); ``kind`` is
    'visual' or 'sound', ``name`` that of a localizer of the learner, which is in
    evaluation mode. A DataError says that a feature exceeds half precision.

    Returns:
        tuple[Tensor, list[Sequence[int]]]: (B, N) float16 on the CPU, feature maps one
        after the other with the channels last; shape (h, w, C) of each map, or (C,).
    """
    localizer = learner.localizers[name]
    inputs = learner.data_preprocessor.prepare(dict(inputs=inputs))['inputs']
    if kind == 'visual':
        levels = localizer.encode_visual(inputs['img'])
        levels = [level.permute(0, 2, 3, 1) for level in levels]
    else:
        levels = [localizer.encode_audio(inputs)]
    rows = torch.cat([level.flatten(1) for level in levels], dim=1).half().cpu()
    if not rows.isfinite().all():
        raise DataError(
            f'model.localizers.{name}.{KINDS[kind]}: features are not finite in half '
            'precision, so they cannot be cached: set cache=None in LoadFeatures.'
        )
    return rows, [tuple(level.shape[1:]) for level in levels]
