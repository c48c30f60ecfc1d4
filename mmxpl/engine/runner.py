"""Builds the Runner of a config, on any machine."""

from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmxpl.compat import ensure_yapf
from mmxpl.utils.checkpoint import load_weights_only
from mmxpl.utils.setup_env import register_all_modules

from .amp import use_amp_everywhere
from .dist import use_cpu_dist


def build_runner(cfg: Config) -> Runner:
    """Builds a Runner, with what the machine needs and safe checkpoints.

    In this order: every module of mmxpl is imported, so that one that cannot be
    shows its traceback; what several processes may not import at once is waited
    for; checkpoints load with ``weights_only=True``; a
    distributed run without GPUs gets a gloo process group; mixed precision holds
    wherever a localizer is used.

    Args:
        cfg (Config): Config of the run, changed in place.

    Returns:
        Runner: The runner, or what the config's ``runner_type`` names.
    """
    register_all_modules(init_default_scope=False)
    ensure_yapf()
    load_weights_only()
    use_cpu_dist(cfg)
    use_amp_everywhere(cfg)
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
