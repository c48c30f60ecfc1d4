"""Prints a config with everything that it inherits, and can save it."""

import argparse
from pathlib import Path

from mmxpl.utils.cli import add_config_options, add_method, load_config, one_clear_error

_SUFFIXES = ('.py', '.json', '.yml')


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--save-path',
        type=Path,
        help=f'also write the config to this file, {", ".join(_SUFFIXES)}',
    )
    add_method(parser)
    add_config_options(parser)
    args = parser.parse_args()
    if args.save_path and args.save_path.suffix not in _SUFFIXES:
        parser.error(f"--save-path: '{args.save_path}' must end in one of {_SUFFIXES}")
    return args


def main() -> None:
    """Prints the config."""
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options, args.method)
    print(cfg.pretty_text)
    if args.save_path:
        args.save_path.parent.mkdir(parents=True, exist_ok=True)
        cfg.dump(args.save_path)


if __name__ == '__main__':
    with one_clear_error():
        main()
