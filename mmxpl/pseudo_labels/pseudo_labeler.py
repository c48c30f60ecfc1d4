"""Pseudo-label generation, optionally by an EMA teacher, and cross exchange."""

import torch
from mmengine.dist import all_reduce_params
from mmengine.model import ExponentialMovingAverage
from torch import Tensor, nn

from mmxpl.utils.checks import check_positive

from .alignment import AreaAlignment


def sharpen(prob: Tensor, temperature: float) -> Tensor:
    """Sharpens binary probabilities in [0, 1], any shape, by a temperature T > 0.

    ``S = p^(1/T) / (p^(1/T) + (1 - p)^(1/T))``, the logistic function of the logit
    divided by T: MixMatch's sharpening (Berthelot et al., NeurIPS 2019, eq. 7) for two
    classes, which XPL applies to localization maps. T = 1 changes nothing.
    """
    if temperature == 1:
        return prob
    eps = 1e-6  # fp32 keeps both p and 1 - p apart from 0 at this distance
    return (prob.float().clamp(eps, 1 - eps).logit() / temperature).sigmoid()


def harden(prob: Tensor) -> Tensor:
    """Turns probabilities of any shape into hard labels, 1 from 0.5 on, else 0."""
    return (prob >= 0.5).to(prob.dtype)


EXCHANGES = ('cross', 'self', 'intersection', 'ensemble')


def exchange(labels: Tensor, mode: str = 'cross') -> Tensor:
    """Exchanges (B, M, h, w) pseudo-labels between M localizers, as targets of each.

    Args:
        labels (Tensor): labels made by each of the localizers.
        mode (str): 'cross', each localizer learns from the label of its neighbour, of
            the other one for M = 2 (XPL); 'self', each from its own (self-training);
            'intersection', all from the minimum (the soft form of DMT's intersection of
            masks); 'ensemble', all from the mean.
    """
    if mode == 'cross':
        return labels.roll(1, dims=1)
    if mode == 'self':
        return labels
    if mode == 'intersection':
        return torch.amin(labels, dim=1, keepdim=True).expand_as(labels)
    if mode == 'ensemble':
        return labels.mean(dim=1, keepdim=True).expand_as(labels)
    raise ValueError(f"exchange must be one of {EXCHANGES}, got '{mode}'.")


class PseudoLabeler:
    """Predicts maps in evaluation mode and turns them into labels.

    The labels are the learner's own, or those of a *teacher*: the exponential moving
    average (EMA) of the learner's weights over training steps,
    ``W_t = teacher_momentum * W_(t-1) + (1 - teacher_momentum) * W`` (mean teacher;
    Tarvainen & Valpola, NeurIPS 2017, eq. 1). Its buffers, such as running
    statistics of batch normalisation, are copied from the learner and averaged over
    ranks, so that all ranks have the same teacher. Its state dict has the names of
    the learner's.

    For the arguments see :class:`mmxpl.engine.hooks.CrossPseudoLabelHook`.
    """

    ALIGNMENT_KEY = 'area_alignment'
    TEACHER_KEY = 'teacher'

    def __init__(
        self,
        soft: bool = True,
        temperature: float = 1.0,
        align_area: bool = False,
        teacher_momentum: float | None = None,
    ) -> None:
        check_positive(temperature=temperature)
        if teacher_momentum is not None and not 0 < teacher_momentum < 1:
            raise ValueError(
                f'teacher_momentum must be in (0, 1) or None, got {teacher_momentum}.'
            )
        self.soft, self.temperature, self.align_area = soft, temperature, align_area
        self.teacher_momentum = teacher_momentum
        self.teacher: ExponentialMovingAverage | None = None
        self.alignment: AreaAlignment | None = None

    def bind(self, learner: nn.Module) -> None:
        """Sets the learner, see :class:`mmxpl.models.XPL`, and resets the state."""
        self.learner, self.teacher = learner, None
        self.alignment = AreaAlignment(len(learner.names)) if self.align_area else None

    def start(self) -> None:
        """Creates the teacher as a copy of the learner, unless it exists."""
        if self.teacher_momentum is None or self.teacher is not None:
            return
        self.teacher = ExponentialMovingAverage(
            self.learner, momentum=1 - self.teacher_momentum
        ).eval()
        self.step()  # the average counts its first update as the copy

    def step(self) -> None:
        """Updates the teacher, if there is one."""
        if self.teacher is None:
            return
        self.teacher.update_parameters(self.learner)
        buffers = self.teacher.module.localizers.buffers()
        all_reduce_params([b for b in buffers if b.is_floating_point()], op='mean')

    @torch.no_grad()
    def predict(self, inputs: dict[str, Tensor]) -> Tensor:
        """Predicts maps in evaluation mode, with the teacher if there is one.

        Prepared inputs of B clips give (B, M, h, w) probabilities of M localizers. A
        ValueError says that the localizers' maps differ in size.
        """
        model = self.learner if self.teacher is None else self.teacher.module
        training = model.training
        model.eval()
        maps = model.predict_maps(inputs)
        model.train(training)
        sizes = {tuple(m.shape[1:]) for m in maps.values()}
        if len(sizes) > 1:
            raise ValueError(
                'Localizers that label for each other need maps of one size, got '
                f'{ {name: tuple(m.shape[1:]) for name, m in maps.items()} }: change '
                'the strides of their visual backbones.'
            )
        return torch.stack(list(maps.values()), dim=1)

    def label(self, maps: Tensor, valid: Tensor | None = None) -> Tensor:
        """Turns (B, M, h, w) predicted probabilities into labels in [0, 1].

        With area alignment they are those of all ranks together, and only cells where
        ``valid``, (B, h, w) bool, is True were seen.
        """
        if self.alignment is not None:
            return self.alignment(maps, self._soften, valid)
        return self._soften(maps)

    def state_dict(self) -> dict:
        """Gives the entries of a checkpoint that a resumed run needs.

        ``area_alignment`` and ``teacher`` are there only if they are used; the
        teacher's is None before :meth:`start`.
        """
        state = {}
        if self.alignment is not None:
            state[self.ALIGNMENT_KEY] = self.alignment.state_dict()
        if self.teacher_momentum is not None:
            state[self.TEACHER_KEY] = None
        if self.teacher is not None:
            weights = self.teacher.module.state_dict()
            state[self.TEACHER_KEY] = {k: v.cpu() for k, v in weights.items()}
        return state

    def load_state_dict(self, state: dict) -> None:
        """Restores what :meth:`state_dict` gave, perhaps within a checkpoint.

        Raises a ValueError if the checkpoint has no entry of alignment or teacher.
        """
        for key, used, setting in (
            (self.ALIGNMENT_KEY, self.align_area, 'align_area=False'),
            (self.TEACHER_KEY, self.teacher_momentum, 'teacher_momentum=None'),
        ):
            if used and key not in state:
                raise ValueError(
                    f"The checkpoint to resume from has no '{key}': it was written by "
                    f'a run with {setting}. Resume with the config that the run was '
                    'started with.'
                )
        if self.align_area:
            self.alignment.load_state_dict(state[self.ALIGNMENT_KEY])
        if self.teacher_momentum is not None and state[self.TEACHER_KEY] is not None:
            self.start()
            self.teacher.module.load_state_dict(state[self.TEACHER_KEY])

    def _soften(self, maps: Tensor) -> Tensor:
        """Turns probabilities into labels, cell by cell."""
        return sharpen(maps, self.temperature) if self.soft else harden(maps)
