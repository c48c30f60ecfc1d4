"""Exports a localizer as ONNX or torch.export graph, which runs without mmxpl.

The graph takes frames as from cv2.imread (uint8, BGR, resized) and returns the
probability map. It is compared with PyTorch, for ONNX in onnxruntime, and refused if it
differs. See docs/deploy.md.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmxpl.utils.cli import check_output, number_in, one_clear_error


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        'out', type=Path, metavar='OUT', help='.onnx, or .pt2 for torch.export'
    )
    parser.add_argument(
        '--config', help='config file (default: the one in the checkpoint)'
    )
    parser.add_argument(
        '--localizer', default='a', help="name of the localizer, such as 'a' (default)"
    )
    parser.add_argument(
        '--with-spectrogram',
        action='store_true',
        help='include the spectrogram: the graph takes waveforms (default: it takes '
        'spectrograms)',
    )
    parser.add_argument(
        '--tolerance',
        type=number_in(0, kind=float),
        default=1e-4,
        metavar='P',
        help='largest difference of a probability (default: 1e-4)',
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Exports and reports."""
    args = parse_args(argv)
    with one_clear_error():
        # imported late, so that wrong arguments are reported at once
        from mmxpl.apis.export import export_localizer
        from mmxpl.apis.inference import load_learner

        check_output(str(args.out), 'OUT')
        learner, cfg = load_learner(args.checkpoint, args.config, 'cpu')
        found = export_localizer(
            learner,
            cfg,
            args.localizer,
            args.out,
            args.with_spectrogram,
            args.tolerance,
        )
        size = args.out.stat().st_size / 1e6
        runtime = 'onnxruntime' if args.out.suffix == '.onnx' else 'torch.export'
        print(
            f'{args.out}: localizer {args.localizer}, {size:.1f} MB; largest '
            f'difference from PyTorch under {runtime}: {found:.1e}'
        )


if __name__ == '__main__':
    main()
