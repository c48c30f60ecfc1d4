"""Tests a checkpoint as a config describes it."""

import argparse
from pathlib import Path

from mmengine.config import Config

from mmxpl.utils.cli import (
    add_config_options,
    add_launcher,
    add_method,
    check_output,
    export_local_rank,
    load_config,
    make_folder,
    one_clear_error,
    quick_start,
    set_work_dir,
)
from mmxpl.utils.errors import DataError


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--work-dir',
        help='directory for the log and the scores (default: ./work_dirs/CONFIG_NAME)',
    )
    parser.add_argument(
        '--out', metavar='FILE.pkl', help='write all predictions to a pickle file'
    )
    parser.add_argument(
        '--show-dir',
        help='draw frames, ground truth and predictions into this directory',
    )
    parser.add_argument(
        '--dump-maps',
        metavar='DIR',
        help='write the maps of each model as DIR/MODEL/ID.npy, which '
        'tools/analysis_tools/eval_maps.py scores',
    )
    add_method(parser)
    add_config_options(parser)
    add_launcher(parser)
    args = parser.parse_args()
    if args.out and not args.out.endswith(('.pkl', '.pickle')):
        parser.error(f"--out: '{args.out}' must end in .pkl or .pickle")
    for key in {'load_from', 'resume'} & set(args.cfg_options or ()):
        parser.error(f'--cfg-options: {key} has no effect, CHECKPOINT is tested')
    return args


def enable_drawing(cfg: Config, show_dir: str) -> None:
    """Turns on the visualization hook, whose pictures go to ``show_dir``.

    Raises a DataError if the config has no such hook.
    """
    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None:
        raise DataError(
            '--show-dir: the config has no default_hooks.visualization to draw with.'
        )
    hook.enable = True
    hook.show_dir = show_dir


def main() -> None:
    """Tests."""
    args = parse_args()
    export_local_rank(args)
    with quick_start():
        needs = ('model', 'test_dataloader', 'test_cfg', 'test_evaluator')
        cfg = load_config(args.config, args.cfg_options, args.method, needs)
        cfg.launcher = args.launcher
        set_work_dir(cfg, args.config, args.work_dir)
        cfg.load_from = args.checkpoint
        cfg.resume = False
        if args.show_dir:
            enable_drawing(cfg, args.show_dir)

        make_folder(cfg.work_dir, '--work-dir')
        if args.show_dir:
            make_folder(Path(args.show_dir).expanduser(), '--show-dir')
        if args.out:
            check_output(args.out, '--out')

        # imported late: a wrong argument is then answered at once
        from mmengine.evaluator import DumpResults

        from mmxpl.engine.dist import close_dist
        from mmxpl.engine.runner import build_runner
        from mmxpl.evaluation import MapDumper

        # before any work: a folder with other maps in it is refused
        dumper = MapDumper(args.dump_maps) if args.dump_maps else None
        if dumper:
            make_folder(args.dump_maps, '--dump-maps')
        runner = build_runner(cfg)
    if args.out:
        runner.test_evaluator.metrics.append(DumpResults(out_file_path=args.out))
    if dumper:
        runner.test_evaluator.metrics.append(dumper)
    runner.test()
    close_dist()


if __name__ == '__main__':
    with one_clear_error():
        main()
