"""Counts operations, weights and activations of every localizer of a config.

For one clip of the config's frame size and sound length. Convolutions, matrix
products and batch normalisation are counted, a multiplication with an addition as one
operation; pooling, activations, sums and the spectrograms are not.
"""

import argparse
from collections.abc import Sequence

from mmxpl.datasets.dataset_wrappers import config_leaves, media_pipeline
from mmxpl.utils import DataError
from mmxpl.utils.cli import add_config_options, load_config, number_in, one_clear_error
from mmxpl.utils.nested import type_name


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--shape',
        type=number_in(1),
        nargs='+',
        metavar='SIDE',
        help="frame's height and width, or its side (default: the config's)",
    )
    add_config_options(parser)
    args = parser.parse_args(argv)
    if args.shape and len(args.shape) > 2:
        parser.error('--shape takes one or two numbers')
    return args


def clip_size(cfg, shape: Sequence[int] | None) -> tuple[tuple[int, int], int]:
    """Finds the size of a clip: height and width, or ``shape``, and samples of sound.

    Raises a DataError if no pipeline loads frames and sounds.
    """
    loaders = ('test_dataloader', 'val_dataloader', 'train_dataloader')
    for leaf in config_leaves([cfg[name] for name in loaders if cfg.get(name)]):
        steps = {
            type_name(step): step for step in media_pipeline(leaf.get('pipeline', ()))
        }
        if {'LoadFrame', 'LoadAudio'} <= steps.keys():
            size = shape or steps['LoadFrame']['size']
            size = [size] if isinstance(size, int) else list(size)
            audio = steps['LoadAudio']
            return (size[0], size[-1]), round(audio['sample_rate'] * audio['duration'])
    raise DataError('the config has no data set that loads frames and sounds.')


def main(argv: Sequence[str] | None = None) -> None:
    """Counts and prints."""
    args = parse_args(argv)
    with one_clear_error():
        cfg = load_config(args.config, args.cfg_options)
        (height, width), length = clip_size(cfg, args.shape)

        # imported late, so that a wrong argument is reported at once
        import logging

        import torch
        from mmengine.analysis import get_model_complexity_info
        from mmengine.logging import MMLogger

        from mmxpl.registry import MODELS

        learner = MODELS.build(cfg.model).eval()
        # MMEngine names each kind of operation that it does not count
        MMLogger.get_current_instance().setLevel(logging.ERROR)
        clip = dict(
            img=torch.zeros(1, 3, height, width, dtype=torch.uint8),
            audio=torch.zeros(1, length),
        )
        inputs = learner.data_preprocessor.prepare(dict(inputs=clip))['inputs']
        print(f'frame {height} x {width}, sound of {length} samples:')
        for name, tensor in inputs.items():
            if name != 'img':
                print(f'  {name} {" x ".join(map(str, tensor.shape[1:]))}')
        total = 0
        for name, localizer in learner.localizers.items():
            found = get_model_complexity_info(
                localizer, inputs=(dict(inputs),), show_table=False, show_arch=False
            )
            total += found['params']
            cells = ' x '.join(map(str, localizer(inputs).logits.shape[1:]))
            print(
                f'localizer {name}: {found["flops"] / 1e6:.1f} M operations, '
                f'{found["params"] / 1e6:.3f} M weights, '
                f'{found["activations"] / 1e6:.3f} M activations, map of {cells} cells'
            )
        print(f'all: {total / 1e6:.3f} M weights')


if __name__ == '__main__':
    main()
