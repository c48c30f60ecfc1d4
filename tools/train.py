"""Trains a model as a config describes it."""

import argparse

from mmengine.config import Config

from mmxpl.utils.cli import (
    add_config_options,
    add_launcher,
    add_method,
    export_local_rank,
    load_config,
    one_clear_error,
    quick_start,
    set_work_dir,
)
from mmxpl.utils.errors import DataError
from mmxpl.utils.nested import type_name


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--work-dir',
        help='directory for logs and checkpoints (default: ./work_dirs/CONFIG_NAME)',
    )
    parser.add_argument(
        '--amp',
        action='store_true',
        help='train in mixed precision: float16, or bfloat16 where there is no GPU',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the batch size of all processes',
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='resume from a checkpoint; without a path, from the newest whole one in '
        'the work directory, or from the start, with load_from of the config, if there '
        'is none',
    )
    add_method(parser)
    add_config_options(parser)
    add_launcher(parser)
    return parser.parse_args()


def enable_amp(cfg: Config) -> None:
    """Turns on automatic mixed precision.

    Raises a DataError if the config's optimizer wrapper is of a kind that has no
    mixed-precision counterpart.
    """
    kind = type_name(cfg.optim_wrapper)
    if kind not in ('', 'OptimWrapper', 'AmpOptimWrapper'):
        raise DataError(
            f"--amp: optim_wrapper is a '{kind}', only an OptimWrapper can be "
            'replaced by its mixed-precision version.'
        )
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')


def enable_auto_scale_lr(cfg: Config) -> None:
    """Turns on the scaling of the learning rate.

    Raises a DataError if the config does not say for which batch size its learning rate
    was chosen.
    """
    if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
        raise DataError(
            '--auto-scale-lr: the config lacks auto_scale_lr.base_batch_size, the '
            'batch size that its learning rate is meant for.'
        )
    cfg.auto_scale_lr.enable = True


def main() -> None:
    """Trains."""
    args = parse_args()
    export_local_rank(args)
    with quick_start():
        needs = ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper')
        cfg = load_config(args.config, args.cfg_options, args.method, needs, args.amp)
        cfg.launcher = args.launcher
        set_work_dir(cfg, args.config, args.work_dir)
        if args.amp:
            enable_amp(cfg)
        if args.auto_scale_lr:
            enable_auto_scale_lr(cfg)
        if args.resume is not None:
            cfg.resume = True
            if args.resume != 'auto':
                cfg.load_from = args.resume
            elif 'runner_type' in cfg:  # which knows no 'auto'
                cfg.load_from = None
            elif cfg.get('load_from'):  # which a first start needs
                cfg.resume = 'auto'

        # imported late: a wrong argument is then answered at once
        from mmxpl.engine.dist import close_dist
        from mmxpl.engine.resume.work_dir import lock_work_dir
        from mmxpl.engine.runner import build_runner

    with lock_work_dir(cfg.work_dir):
        with quick_start():
            runner = build_runner(cfg)
        runner.train()
        close_dist()


if __name__ == '__main__':
    with one_clear_error():
        main()
