"""Speed of loading clips from the media cache against loading them from files.

Makes clips (JPEG frames and 16-bit WAV sounds) in a temporary folder, caches them and
loads all of them in turns, a block at a time, through LoadFrame and LoadAudio in one
process. Both must give the same values. Everything is in the system's page cache, so
this is the cost of decoding, not of a disk.
"""

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import soundfile
import torch

from mmxpl.datasets import LoadAudio, LoadFrame
from mmxpl.datasets.media_cache import build_cache, decode_files


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--num', type=int, default=256, help='clips (default: 256)')
    parser.add_argument('--block', type=int, default=16, help='clips in turn')
    parser.add_argument('--height', type=int, default=360, help='of the frames')
    parser.add_argument('--width', type=int, default=640, help='of the frames')
    parser.add_argument('--rate', type=int, default=16000, help='of the sounds, in Hz')
    parser.add_argument('--size', type=int, default=224, help='that the model takes')
    return parser.parse_args()


def write_clips(root: Path, args: argparse.Namespace) -> list[dict]:
    """Writes clips with as much detail as a photograph has, of 10 s."""
    rng, clips = np.random.default_rng(0), []
    for number in range(args.num):
        coarse = rng.integers(0, 256, (args.height // 8, args.width // 8, 3), np.uint8)
        frame = cv2.resize(coarse, (args.width, args.height)).astype(int)
        frame = (frame + rng.integers(-8, 9, frame.shape)).clip(0, 255)
        paths = [str(root / f'{number}{suffix}') for suffix in ('.jpg', '.wav')]
        cv2.imwrite(paths[0], frame.astype(np.uint8))
        soundfile.write(paths[1], rng.uniform(-1, 1, 10 * args.rate), args.rate)
        clips.append(dict(img_path=paths[0], audio_path=paths[1]))
    return clips


def load(steps: list, clips: list[dict]) -> tuple[list[dict], np.ndarray]:
    """Loads clips; their results, and wall and CPU seconds."""
    start = np.array([time.perf_counter(), time.process_time()])
    loaded = []
    for clip in clips:
        results = dict(clip)
        for step in steps:
            results = step(results)
        loaded.append(results)
    return loaded, np.array([time.perf_counter(), time.process_time()]) - start


def main() -> None:
    """Measures both in turns."""
    args = parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        clips = write_clips(Path(folder), args)
        plain, cached = (
            [LoadFrame(args.size, cache=c), LoadAudio(16000, 3.0, cache=c)]
            for c in (None, f'{folder}/cache')
        )
        for step in cached:
            paths = [clip[step.path_key] for clip in clips]
            build_cache(step.cache, partial(decode_files, step.decode), paths)
        seconds = []
        for start in range(0, args.num, args.block):
            block = clips[start : start + args.block]
            pair = [load(steps, block) for steps in (plain, cached)]
            for left, right in zip(pair[0][0], pair[1][0], strict=True):
                assert (left['img'] == right['img']).all()
                assert (left['audio'] == right['audio']).all()
                assert left['ori_shape'] == right['ori_shape']
            if start:  # the first block opens the cache
                seconds.append([clocks / len(block) for _, clocks in pair])
    print(
        f'{args.num} clips: JPEG {args.height}x{args.width} to '
        f'{args.size}x{args.size}, 3 s of WAV {args.rate} Hz to 16000 Hz; same values'
    )
    if not seconds:
        raise SystemExit('too few clips to measure: --num must exceed --block')
    medians = 1000 * np.median(seconds, axis=0)
    ratios = np.median([files / cache for files, cache in seconds], axis=0)
    for k, clock in enumerate(('wall', 'CPU')):
        print(
            f'{clock} time: from files {medians[0, k]:.3f} ms a clip, cached '
            f'{medians[1, k]:.3f} ms a clip, ratio files / cached {ratios[k]:.1f}'
        )


if __name__ == '__main__':
    main()
