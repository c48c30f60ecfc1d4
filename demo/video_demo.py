"""Draws the heat map over a video, to show where its sound comes from.

The sound is copied, or encoded again where the container does not support its codec.
Memory does not grow with the length of the video.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from mmxpl.utils.cli import check_output, number_in, one_clear_error

# containers that are written
ENDINGS = ('.mp4', '.mkv', '.webm')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('video', help='video file with sound')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--config', help='config file (default: the one in the checkpoint)'
    )
    parser.add_argument(
        '--out',
        type=Path,
        metavar='FILE',
        help='video to write, .mp4, .mkv or .webm (default: VIDEO_heatmap.mp4 in the '
        'working directory); an existing file is not overwritten',
    )
    parser.add_argument(
        '--localizer', default='ens', help="'a', 'b' or 'ens', the ensemble (default)"
    )
    parser.add_argument(
        '--every',
        type=number_in(0, kind=float),
        default=0.2,
        metavar='SECONDS',
        help='time between predictions; 0 predicts every frame (default: 0.2)',
    )
    parser.add_argument(
        '--smooth',
        type=number_in(0, kind=float),
        default=0.0,
        metavar='SECONDS',
        help='time constant of a moving average of the maps, which reduces flicker '
        'and delays changes (default: 0, none)',
    )
    parser.add_argument(
        '--pred-score-thr',
        type=number_in(0, 1, float),
        metavar='P',
        help='draw boxes around regions of at least this probability (default: none)',
    )
    parser.add_argument('--device', help='(default: a GPU if there is one)')
    args = parser.parse_args(argv)
    if args.out is not None and args.out.suffix.lower() not in ENDINGS:
        parser.error(f"--out: '{args.out}' must end in .mp4, .mkv or .webm")
    if args.out is None:
        args.out = Path(f'{Path(args.video).stem}_heatmap.mp4')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Draws and reports."""
    args = parse_args(argv)
    with one_clear_error():
        # imported late, so that wrong arguments are reported at once
        from mmxpl.apis import XPLInferencer
        from mmxpl.apis.video_output import refuse_existing
        from mmxpl.apis.video_overlay import (
            OverlayOptions,
            overlay_video,
            video_seconds,
        )

        refuse_existing(args.out)
        check_output(str(args.out), '--out')
        total = video_seconds(args.video)
        inferencer = XPLInferencer(args.config, args.checkpoint, args.device)
        options = OverlayOptions(
            args.every, args.smooth, args.localizer, args.pred_score_thr
        )
        columns = (
            TextColumn('{task.description}'),
            BarColumn(),
            TextColumn('{task.completed:.1f} s of video'),
            TimeRemainingColumn(),
        )
        progress = Progress(*columns)
        row = progress.add_task(Path(args.video).name, total=total)

        def show(time: float) -> None:
            progress.start()  # with the first frame: no bar beside an error before it
            progress.update(row, completed=time)

        try:
            done = overlay_video(inferencer, args.video, args.out, options, show)
            progress.update(row, completed=total)
        finally:
            if progress.live.is_started:
                progress.stop()
        sound = 'copied' if done['sound_copied'] else 'encoded again'
        print(
            f'{args.out}: {done["frames"]} frames, {done["maps"]} maps, sound {sound}'
        )


if __name__ == '__main__':
    main()
