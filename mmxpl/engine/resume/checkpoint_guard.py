"""Refusal of checkpoints of another model or optimizer."""

import re
from collections.abc import Mapping

from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner, find_latest_checkpoint
from torch import Tensor

from mmxpl.registry import HOOKS
from mmxpl.utils.errors import DataError
from mmxpl.utils.ids import name_some
from mmxpl.utils.parallel import unwrap

_FOR_RESUME = ('meta', 'message_hub', 'optimizer')


def compare_weights(
    model: Mapping[str, Tensor], checkpoint: Mapping[str, Tensor]
) -> dict[str, list[str]]:
    """Compares names and shapes of two state dicts.

    Returns the names of weights that are 'missing' in the checkpoint, 'unexpected', or
    'of another shape'. The prefix ``module.`` of model wrappers is ignored there.
    """
    here, given = (
        {k: tuple(x.shape) if isinstance(x, Tensor) else None for k, x in state.items()}
        for state in (model, checkpoint)
    )
    given = {re.sub(r'^module\.', '', key): shape for key, shape in given.items()}
    return {
        'missing': [key for key in here if key not in given],
        'unexpected': [key for key in given if key not in here],
        'of another shape': [
            f'{key}: {given[key]} for {shape}'
            for key, shape in here.items()
            if key in given and given[key] != shape
        ],
    }


def name_mismatch(mismatch: Mapping[str, list[str]]) -> str:
    """Counts and names what :func:`compare_weights` found; '' if all fits."""
    return '; '.join(
        f'{len(keys)} {kind} ({name_some(keys, 3)})'
        for kind, keys in mismatch.items()
        if keys
    )


def check_optimizer(wrapper: OptimWrapper, state: dict, name: str) -> None:
    """Refuses the state of another optimizer, which would fail later or unnoticed.

    Raises a DataError, with the ``name`` of the checkpoint, if the parameter groups
    have other options or sizes.
    """
    own = wrapper.state_dict()
    if not isinstance(own.get('param_groups'), list):
        return  # several optimizers: MMEngine compares their names
    before, here = (_groups(x.get('param_groups', [])) for x in (state, own))
    if before == here:
        return
    options = [set().union(*(keys for keys, _ in groups)) for groups in (before, here)]
    differ = sorted(options[0] ^ options[1])
    sizes = [[size for _, size in groups] for groups in (before, here)]
    detail = (
        f'which has other options ({", ".join(differ)})'
        if differ
        else f'whose groups have {sizes[0]} parameters, here {sizes[1]}'
    )
    raise DataError(
        f'{name} was written with another optimizer, {detail}. Resume with the '
        'optim_wrapper that the run was started with, or, to start from its weights, '
        'set load_from and leave resume out.'
    )


def _groups(groups: list[dict]) -> list[tuple[frozenset, int]]:
    """Names of the options of each parameter group, and its number of parameters.

    Switches come and go with releases of PyTorch, ``initial_lr`` with schedulers.
    """
    skipped = ('params', 'initial_lr')
    return [
        (
            frozenset(
                key
                for key, value in group.items()
                if key not in skipped and not isinstance(value, bool | None)
            ),
            len(group['params']),
        )
        for group in groups
    ]


@HOOKS.register_module()
class CheckpointGuardHook(Hook):
    """Stops a run whose checkpoint does not fit its model.

    MMEngine loads the weights that fit and logs the rest, so that a run with the
    checkpoint of another model continues with random weights. This hook compares
    names and shapes before anything is loaded. It also stops a resume from a file
    that holds weights only, and keeps MMEngine from running a config that a
    checkpoint contains.

    Args:
        partial (bool): whether a checkpoint may fit in part, as in fine-tuning
            from another model; at least one weight must fit.
    """

    # before hooks that read their own entries from the checkpoint
    priority = 'VERY_HIGH'

    def __init__(self, partial: bool = False) -> None:
        self.partial = partial

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Raises a DataError if a checkpoint does not fit the model to be loaded."""
        path = runner._load_from
        if path is None and runner._resume:
            path = find_latest_checkpoint(runner.work_dir)
        name = f"checkpoint '{path}'" if path else 'the checkpoint'
        expected = unwrap(runner.model).state_dict()
        mismatch = compare_weights(expected, checkpoint.get('state_dict', checkpoint))
        misfits = len(mismatch['missing']) + len(mismatch['of another shape'])
        if self.partial:
            if expected and misfits == len(expected):
                raise DataError(f'{name} shares no weight with this model.')
        elif named := name_mismatch(mismatch):
            raise DataError(
                f'{name} belongs to another model than this config builds. Of '
                f'{len(expected)} weights: {named}. Use the config that it was '
                'trained with, or, to start from what fits, set '
                'partial=True of CheckpointGuardHook.'
            )
        if not runner._resume:
            return
        lacking = [key for key in _FOR_RESUME if key not in checkpoint]
        if lacking:
            raise DataError(
                f'{name} cannot be resumed from, it has no '
                f'{", ".join(lacking)}. To start from its weights set load_from '
                'and leave resume out.'
            )
        check_optimizer(runner.optim_wrapper, checkpoint['optimizer'], name)
        # MMEngine runs this text as a config, that is as a program, when it resumes
        if checkpoint['meta'].pop('config', None) is not None:
            runner.logger.warning(f'{name} contains a config, which is not read.')
