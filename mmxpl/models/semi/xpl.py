"""XPL, the semi-supervised learner of several localizers."""

from logging import FileHandler
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from mmengine.logging import MMLogger
from mmengine.model import BaseModel, ExponentialMovingAverage, ModuleDict
from mmengine.structures import PixelData
from torch import Tensor

from mmxpl.registry import MODELS
from mmxpl.structures import AVDataSample
from mmxpl.utils.errors import DataError
from mmxpl.utils.parallel import first_rows

from ..localizers.av_localizer import Localization
from ..pretrained import (
    PretrainedError,
    check_loaded,
    initialisation_error,
    pretrained_parts,
)
from .mixed_audio import MixedAudio
from .negative_audio import NegativeAudio


@MODELS.register_module()
class XPL(BaseModel):
    """Cross Pseudo-Labeling (Guo et al., ICASSP 2024, arXiv 2403.03095).

    ``loss`` depends on the batch only: localizers learn from the ``gt_map`` of labeled
    samples, from ``pseudo_label`` where a sample has one, and from the pairing of
    frame and sound of all samples, where a clip that occurs twice in the global batch
    counts once. Pseudo-labels are written by
    :class:`mmxpl.engine.hooks.CrossPseudoLabelHook`; baselines use the same learner.

    Args:
        localizers (dict[str, dict | str]): config of each localizer by name, 'a' and
            'b' for XPL. They should differ, at least in the audio encoder. The name of
            another localizer instead of a config copies its architecture, not its
            weights.
        loss_supervised (dict): config of the loss against ground truth.
        loss_pseudo (dict): config of the loss against pseudo-labels.
        data_preprocessor (dict): config of the data preprocessor.
        loss_contrastive (dict, optional): config of the loss on pairing.
        target_momentum (float, optional): in (0, 1); the loss on pairing also gets
            ``target_visual`` and ``target_audio``, the embeddings of momentum encoders
            (SLAVC; Mo & Morgado, NeurIPS 2022).
        negative_audio (dict, optional): arguments of
            :class:`~mmxpl.models.NegativeAudio`, such as ``dict(share=0.2)``: a share
            of the frames of a batch also learns to mark nothing for a sound that is
            not theirs.
        mixed_audio (dict, optional): arguments of :class:`~mmxpl.models.MixedAudio`,
            such as ``dict(loss_weight=0.5)``: every frame also learns its target with
            another clip's sound on top of its own.
        deaf (bool): whether localizers get no sound, see
            :class:`~mmxpl.models.AVLocalizer`: the reference for localization without
            listening.
        map_size (int, optional): side in pixels that predicted maps are resized to,
            with cells as areas of the frame, as log-odds, so that the order of pixels
            does not depend on the localizer's threshold. Evaluators that align the
            centres of outer cells with the corners of the frame (EZ-VSL's, with
            ``align_corners=True``) would otherwise stretch a coarse map by up to half
            a cell. By default maps are not resized.
        init_cfg (dict | list[dict], optional): how weights are initialised.

    Raises:
        DataError: If ``map_size`` is not a positive integer, or a localizer is neither
            a config nor the name of one.
    """

    def __init__(
        self,
        localizers: dict[str, dict | str],
        loss_supervised: dict,
        loss_pseudo: dict,
        data_preprocessor: dict,
        loss_contrastive: dict | None = None,
        target_momentum: float | None = None,
        negative_audio: dict | None = None,
        mixed_audio: dict | None = None,
        deaf: bool = False,
        map_size: int | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        # by our registry, so that it is also found without a runner
        super().__init__(MODELS.build(data_preprocessor), init_cfg)
        if map_size is not None and (not isinstance(map_size, int) or map_size < 1):
            raise DataError(
                f'model.map_size is a number of pixels or None, got {map_size!r}.'
            )
        if not localizers:
            raise DataError('model.localizers is empty: it needs one at least.')
        for name, cfg in localizers.items():
            other = localizers.get(cfg) if isinstance(cfg, str) else cfg
            if not isinstance(other, dict):
                raise DataError(
                    f'model.localizers.{name} is a config or the name of another '
                    f'localizer, got {cfg!r}. To leave it out, write '
                    'localizers=dict(_delete_=True, ...) with the others.'
                )
        if 'ens' in localizers:
            raise ValueError("'ens' is the name of the ensemble: rename the localizer.")
        # MMEngine's, since init_weights skips PyTorch's containers
        self.localizers = ModuleDict()
        for name, cfg in localizers.items():
            cfg = localizers[cfg] if isinstance(cfg, str) else cfg
            self.localizers[name] = MODELS.build(dict(cfg, deaf=True) if deaf else cfg)
        self.map_size = map_size
        self.loss_supervised = MODELS.build(loss_supervised)
        self.loss_pseudo = MODELS.build(loss_pseudo)
        self.loss_contrastive = (
            None if loss_contrastive is None else MODELS.build(loss_contrastive)
        )
        sounds = dict(negative_audio=negative_audio, mixed_audio=mixed_audio)
        for key, value in sounds.items():
            if value is not None and deaf:
                raise DataError(
                    f'model.{key} has no effect on a learner that hears nothing '
                    '(deaf=True): leave one of them out.'
                )
        self.mixed_audio = self.negative_audio = None
        if mixed_audio is not None:
            if not isinstance(mixed_audio, dict) or {*mixed_audio} - {'loss_weight'}:
                raise DataError(
                    'model.mixed_audio must be None or a dict, such as '
                    f'dict(loss_weight=0.5), got {mixed_audio!r}.'
                )
            self.mixed_audio = MixedAudio(**mixed_audio)
        if negative_audio is not None:
            if not isinstance(negative_audio, dict) or 'share' not in negative_audio:
                raise DataError(
                    'model.negative_audio must be None or a dict with '
                    f'model.negative_audio.share, got {negative_audio!r}.'
                )
            self.negative_audio = NegativeAudio(**negative_audio)
        self.momentum_encoders = (
            None
            if target_momentum is None
            else ExponentialMovingAverage(self.localizers, 1 - target_momentum)
        )

        # whether `loss` writes predictions into the data samples
        self.writes_maps = False

    @property
    def names(self) -> list[str]:
        """list[str]: names of the localizers."""
        return list(self.localizers)

    def init_weights(self) -> None:
        """Initialises all parts by their ``init_cfg``.

        Raises a PretrainedError if pretrained weights cannot be loaded or do not fit.
        """
        try:
            super().init_weights()
        except PretrainedError:
            raise
        except (ImportError, OSError, RuntimeError, ValueError) as error:
            if not any(pretrained_parts(self)):
                raise
            raise initialisation_error(self, error) from error

    def _dump_init_info(self) -> None:
        """Checks the loaded weights before MMEngine drops its record of them."""
        check_loaded(self, self._params_init_info)
        if any(
            isinstance(h, FileHandler) for h in MMLogger.get_current_instance().handlers
        ):
            super()._dump_init_info()

    def forward(
        self,
        inputs: dict[str, Tensor],
        data_samples: list[AVDataSample] | None = None,
        mode: str = 'tensor',
    ):
        """Runs the learner in one of MMEngine's three modes.

        That is 'loss' (see :meth:`loss`), 'predict' (:meth:`predict`) or 'tensor'
        (:meth:`predict_maps`), on the output of the data preprocessor.
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode == 'tensor':
            return self.predict_maps(inputs)
        raise RuntimeError(f'Invalid mode "{mode}".')

    def loss(
        self, inputs: dict[str, Tensor], data_samples: list[AVDataSample]
    ) -> dict[str, Tensor]:
        """Computes the joint objective of every localizer.

        Args:
            inputs (dict[str, Tensor]): output of the data preprocessor.
            data_samples (list[AVDataSample]): one per input, with targets. If
                ``writes_maps`` is set, each receives the prediction of its augmented
                view as ``pred_map``, without gradient.

        Returns:
            dict[str, Tensor]: for each localizer ``NAME.loss_supervised``,
            ``NAME.loss_pseudo``, ``NAME.loss_contrastive`` and, if asked for,
            ``NAME.loss_negative`` and ``NAME.loss_mixed``, which are summed;
            ``NAME.foreground``, the mean predicted probability; and, if pseudo-labels
            have weights, their mean as ``NAME.util_ratio``.
        """
        if self.momentum_encoders is not None and self.training:
            self.momentum_encoders.update_parameters(self.localizers)
        truth, pseudo = _targets(data_samples, next(iter(inputs.values())).device)
        losses, maps = {}, {}
        ids = [sample.sample_id for sample in data_samples]
        # a clip that occurs twice is no negative of itself
        rows = first_rows(ids) if self.loss_contrastive is not None else []
        distinct = slice(None) if len(rows) == len(ids) else rows
        front_ends = getattr(self.data_preprocessor, 'audio', {})
        if self.negative_audio is not None:
            inputs, *pairs = self.negative_audio.draw(inputs, front_ends, ids)
        if self.mixed_audio is not None:
            inputs = self.mixed_audio.draw(inputs, front_ends, ids)
        for place, (name, localizer) in enumerate(self.localizers.items()):
            out = localizer(_inputs_of(name, inputs))
            losses[f'{name}.loss_supervised'] = self._supervised(out.logits, truth)
            losses[f'{name}.loss_pseudo'] = self._pseudo(out.logits, pseudo, place)
            if self.loss_contrastive is not None:
                losses[f'{name}.loss_contrastive'] = self._contrastive(
                    out, name, inputs, distinct
                )
            if self.negative_audio is not None:
                losses[f'{name}.loss_negative'] = self.negative_audio.loss(
                    localizer, out, *pairs
                )
            if self.mixed_audio is not None:
                mixed = out.more_audio[-len(out.logits) :]
                logits = localizer.compare(out.visual, mixed)
                losses[f'{name}.loss_mixed'] = self.mixed_audio.loss_weight * (
                    self._supervised(logits, truth)
                    + self._pseudo(logits, pseudo, place)
                )
            maps[name] = out.logits.detach().float().sigmoid()
            losses[f'{name}.foreground'] = maps[name].mean()
            if pseudo.weights is not None:
                losses[f'{name}.util_ratio'] = pseudo.weights[:, place].mean()
        if self.writes_maps:
            _write_maps(data_samples, maps)
        return losses

    def _supervised(self, logits: Tensor, truth: '_Targets') -> Tensor:
        """Loss of (B, h, w) logits against ground truth; 0 where there is none."""
        logits = logits[truth.rows]
        if not truth.rows:  # still in the graph, for distributed training
            return logits.sum() * 0
        # mean over the cell's pixels: the share of the cell that is covered
        target = F.adaptive_avg_pool2d(truth.maps, logits.shape[1:])
        return truth.share * self.loss_supervised(logits, target)

    def _pseudo(self, logits: Tensor, pseudo: '_Targets', place: int) -> Tensor:
        """Loss of (B, h, w) logits of one localizer against its pseudo-labels, or 0."""
        logits = logits[pseudo.rows]
        if not pseudo.rows:
            return logits.sum() * 0
        weights = {}
        if pseudo.weights is not None:
            weights['weight'] = pseudo.weights[:, place]
        target = pseudo.maps[:, place]
        return pseudo.share * self.loss_pseudo(logits, target, **weights)

    def _contrastive(
        self,
        out: Localization,
        name: str,
        inputs: dict[str, Tensor],
        rows: list[int] | slice,
    ) -> Tensor:
        """Loss on the pairing of the frames and sounds of some rows."""
        targets = {}
        if self.momentum_encoders is not None:
            with torch.no_grad():
                mean = self.momentum_encoders.module[name](_inputs_of(name, inputs))
            targets = dict(
                target_visual=mean.visual[rows], target_audio=mean.audio[rows]
            )
        return self.loss_contrastive(out.visual[rows], out.audio[rows], **targets)

    def predict_maps(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Predicts by name the (B, h, w) float32 probabilities of each localizer."""
        return {name: x.sigmoid() for name, x in self.log_odds(inputs).items()}

    def predict(
        self, inputs: dict[str, Tensor], data_samples: list[AVDataSample] | None = None
    ) -> list[AVDataSample]:
        """Predicts the maps of every localizer and of their ensemble.

        Returns:
            list[AVDataSample]: with ``pred_map`` of (1, h, w) by localizer, or (1,
            map_size, map_size); ``ens`` is the mean probability.
        """
        log_odds = self.log_odds(inputs)
        if self.map_size is not None:
            log_odds = {name: self._resize(x) for name, x in log_odds.items()}
        maps = {name: x.sigmoid() for name, x in log_odds.items()}
        maps['ens'] = torch.stack(list(maps.values())).mean(dim=0)
        if data_samples is None:
            data_samples = [AVDataSample() for _ in range(len(maps['ens']))]
        _write_maps(data_samples, maps)
        return data_samples

    def log_odds(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Predicts by name the (B, h, w) float32 log-odds maps of every localizer."""
        return {
            name: net(_inputs_of(name, inputs)).logits.float()
            for name, net in self.localizers.items()
        }

    def _resize(self, maps: Tensor) -> Tensor:
        """Resizes (B, h, w) maps whose cells are areas."""
        size = (self.map_size, self.map_size)
        return F.interpolate(maps[:, None], size, mode='bilinear', align_corners=False)[
            :, 0
        ]


def _inputs_of(name: str, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Selects common inputs and the cached features ``NAME.KEY`` of a localizer."""
    own = f'{name}.'
    return {
        key.removeprefix(own): value
        for key, value in inputs.items()
        if '.' not in key or key.startswith(own)
    }


class _Targets(NamedTuple):
    """Targets of those samples of a batch that have some."""

    rows: list[int]  # places of the samples in the batch
    maps: Tensor | None  # (R, S, S) or (R, M, h, w); None of no sample
    share: Tensor  # number of samples relative to the mean over ranks
    weights: Tensor | None = None  # (R, M) factors of the loss


def _targets(
    samples: list[AVDataSample], device: torch.device
) -> tuple[_Targets, _Targets]:
    """Stacks the ground truth and the pseudo-labels of a batch.

    Raises a DataError if a labeled sample has no ground truth.
    """
    labeled = [i for i, s in enumerate(samples) if s.is_labeled]
    without = [samples[i].sample_id for i in labeled if 'gt_map' not in samples[i]]
    if without:
        raise DataError(
            f"'{without[0]}' is labeled but has no gt_map, so nothing is learnt from "
            'it: put RasterizeTargets into the pipeline of train_dataloader.dataset.'
        )
    pseudo = [i for i, s in enumerate(samples) if 'pseudo_label' in s]
    shares = _rank_weights(len(labeled), len(pseudo), device)
    truth = torch.stack([samples[i].gt_map for i in labeled]) if labeled else None
    labels = torch.stack([samples[i].pseudo_label for i in pseudo]) if pseudo else None
    weights = None
    if any('pseudo_weights' in samples[i] for i in pseudo):
        weights = torch.stack([samples[i].pseudo_weights for i in pseudo])
    return (
        _Targets(labeled, truth, shares[0]),
        _Targets(pseudo, labels, shares[1], weights),
    )


def _rank_weights(labeled: int, pseudo: int, device: torch.device) -> Tensor:
    """Weights of this rank's losses, so that the mean over ranks is that over samples.

    Each rank's loss is a mean over its samples, and gradients are averaged over ranks.
    The weights are 1 if all ranks have equal numbers of samples.
    """
    counts = torch.tensor([labeled, pseudo], dtype=torch.float32, device=device)
    mean = counts.clone()
    all_reduce(mean, op='mean')
    return torch.where(mean > 0, counts / mean, torch.ones_like(mean))


def _write_maps(samples: list[AVDataSample], maps: dict[str, Tensor]) -> None:
    """Writes (B, h, w) maps by name into the samples' ``pred_map``."""
    for i, sample in enumerate(samples):
        sample.pred_map = PixelData(**{name: m[i : i + 1] for name, m in maps.items()})
