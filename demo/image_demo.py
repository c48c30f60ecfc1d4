"""Localizes a sound in an image, in a folder of pairs, or in videos.

Draws heat maps with boxes and writes the predictions.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmxpl.utils.cli import make_folder, number_in, one_clear_error
from mmxpl.utils.errors import DataError


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='With --out-dir DIR: DIR/vis/ID.png, DIR/preds/ID.json (boxes, scores '
        'and confidence) and DIR/maps/ID.npy (the predicted map, for '
        'tools/analysis_tools/eval_maps.py).',
    )
    parser.add_argument(
        'inputs',
        help='image file; without --audio a video, a folder of videos, or a folder '
        'with frames/ID.jpg and audio/ID.wav',
    )
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--audio', help='sound file of the image')
    parser.add_argument(
        '--config', help='config file (default: the one in the checkpoint)'
    )
    parser.add_argument(
        '--out-dir',
        default='outputs',
        help='(default: outputs); existing files stay',
    )
    parser.add_argument(
        '--localizer', default='ens', help="'a', 'b' or 'ens', the ensemble (default)"
    )
    parser.add_argument(
        '--pred-score-thr',
        type=number_in(0, 1, float),
        default=0.5,
        metavar='P',
        help='draw boxes around regions of at least this probability (default: 0.5)',
    )
    parser.add_argument(
        '--batch-size',
        type=number_in(1),
        default=1,
        help='pairs predicted together (default: 1)',
    )
    parser.add_argument(
        '--every',
        type=number_in(0, kind=float),
        default=1.0,
        metavar='SECONDS',
        help='time between the frames taken from a video (default: 1)',
    )
    parser.add_argument('--device', help='(default: a GPU if there is one)')
    parser.add_argument('--show', action='store_true', help='show the pictures')
    parser.add_argument('--no-save-vis', action='store_true', help='write no pictures')
    parser.add_argument(
        '--no-save-pred', action='store_true', help='write no predictions and maps'
    )
    parser.add_argument('--print-result', action='store_true', help='print predictions')
    return parser.parse_args(argv)


def check_inputs(inputs: str, audio: str | None) -> None:
    """Checks the inputs before the model is loaded.

    Raises:
        DataError: If a file is missing, or an image has no sound.
    """
    from mmxpl.datasets.media import check_regular
    from mmxpl.datasets.vggss import AUDIO_SUFFIXES, FRAME_SUFFIXES

    if audio is not None:
        check_regular(inputs, 'frame')
        check_regular(audio, 'sound')
    elif not Path(inputs).exists():
        raise DataError(f'{inputs}: does not exist. Name an image, video or folder.')
    elif Path(inputs).suffix.lower() in FRAME_SUFFIXES + AUDIO_SUFFIXES:
        raise DataError(
            f'{inputs}: an image needs its sound. Give it as IMAGE --audio FILE.'
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Predicts and reports."""
    args = parse_args(argv)
    with one_clear_error():
        # imported late, so that wrong arguments are reported at once
        from mmxpl.apis import XPLInferencer

        check_inputs(args.inputs, args.audio)
        if not (args.no_save_vis and args.no_save_pred):
            make_folder(args.out_dir, '--out-dir')
        inferencer = XPLInferencer(args.config, args.checkpoint, args.device)
        predictions = inferencer(
            (args.inputs, args.audio) if args.audio else args.inputs,
            batch_size=args.batch_size,
            every=args.every,
            localizer=args.localizer,
            threshold=args.pred_score_thr,
            show=args.show,
            out_dir=args.out_dir,
            no_save_vis=args.no_save_vis,
            no_save_pred=args.no_save_pred,
            print_result=args.print_result,
            # the maps at full size of a long video would fill the memory
            return_datasamples=True,
        )['predictions']
        failed = len(inferencer.failed)
        more = f', {failed} failed' if failed else ''
        print(f'{args.out_dir}: {len(predictions)} predictions{more}')
        if failed:
            raise SystemExit(1)


if __name__ == '__main__':
    main()
