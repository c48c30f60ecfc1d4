"""Modules of trainings and tests, for a process that these are forked from."""

import mmdet.models  # noqa: F401

import mmxpl.apis
import mmxpl.engine.runner  # noqa: F401
from mmxpl.compat import ensure_yapf
from mmxpl.utils.setup_env import register_all_modules

register_all_modules(init_default_scope=False)
ensure_yapf()
