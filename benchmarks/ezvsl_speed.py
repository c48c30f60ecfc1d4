"""Speed of loading clips against a plain loader as public code has it, per core.

The plain one does what EZ-VSL (Mo & Morgado, ECCV 2022) does to a clip: Pillow decodes,
resizes bicubically, crops and flips; PyAV decodes 3 s of sound from the middle;
SciPy computes the log spectrogram; each clip by itself. mmxpl's loads, packs and stacks
a batch, normalises it and computes the same spectrogram of all sounds. All take turns
in one process, with memory kept as in the tools; times are of the CPU.
"""

import argparse
import tempfile
import time
from pathlib import Path

import av
import cv2
import numpy as np
import soundfile
import torch
from PIL import Image
from scipy import signal

import mmxpl.utils.cli  # noqa: F401  (keeps freed memory)
from mmxpl.datasets import LoadAudio, LoadFrame, PackAVInputs, av_collate
from mmxpl.registry import MODELS, register_all_modules

# height and width of the frames, rate and channels of the sounds
CASES = [(256, 256, 16000, 1), (360, 640, 16000, 1), (256, 256, 44100, 2)]


def write_clips(root: Path, case: tuple, count: int) -> list[dict]:
    """Writes clips with as much detail as a photograph has, of 10 s."""
    height, width, rate, channels = case
    rng, clips = np.random.default_rng(0), []
    for n in range(count):
        coarse = rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8)
        frame = cv2.resize(coarse, (width, height)).astype(int)
        frame = (frame + rng.integers(-8, 9, frame.shape)).clip(0, 255)
        paths = [str(root / f'{n}{suffix}') for suffix in ('.jpg', '.wav')]
        quality = [cv2.IMWRITE_JPEG_QUALITY, 90]
        cv2.imwrite(paths[0], frame.astype(np.uint8), quality)
        soundfile.write(paths[1], rng.uniform(-1, 1, (10 * rate, channels)), rate)
        names = dict(img_path=paths[0], audio_path=paths[1], sample_id=str(n))
        clips.append(dict(names, sample_idx=n, is_labeled=False, category=None))
    return clips


def plain_frame(path: str) -> torch.Tensor:
    """Reads, crops and normalises a frame."""
    image = Image.open(path).convert('RGB')
    factor = 246 / min(image.size)
    image = image.resize([round(s * factor) for s in image.size], Image.BICUBIC)
    image = image.crop((9, 9, 233, 233)).transpose(Image.FLIP_LEFT_RIGHT)
    frame = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float()
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    return frame.div(255).sub(mean).div(std)


def plain_sound(path: str) -> torch.Tensor:
    """Reads the middle of a sound and computes its log spectrogram."""
    with av.open(path) as container:
        stream = container.streams.audio[0]
        start = max(float(stream.duration * stream.time_base) / 2 - 1.5, 0)
        container.seek(int(start / stream.time_base), stream=stream)
        parts, rate, count = [], stream.rate, len(stream.layout.channels)
        for frame in container.decode(stream):
            parts.append(frame.to_ndarray().reshape(-1, count))
            if sum(map(len, parts)) >= 3 * rate:
                break
    wave = np.concatenate(parts).astype(np.float32) / 32768
    wave = wave.clip(-1, 1).mean(axis=1)[: 3 * rate]
    power = signal.spectrogram(wave, rate, nperseg=512, noverlap=274)[2]
    return torch.from_numpy(np.log(power + 1e-7))[None].float().div(12)


def clock(run, clips: list[dict]) -> float:
    """Runs and returns milliseconds of CPU a clip."""
    start = time.process_time()
    run(clips)
    return 1000 * (time.process_time() - start) / len(clips)


def main() -> None:
    """Compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--num', type=int, default=32, help='clips of a batch')
    parser.add_argument('--repeats', type=int, default=5, help='turns (default: 5)')
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    register_all_modules()
    front_end = dict(spectrogram=dict(type='LogSpectrogram'))
    preprocessor = MODELS.build(dict(type='AVDataPreprocessor', audio=front_end))
    load = [LoadFrame(224), LoadAudio(16000, 3.0), PackAVInputs()]

    def work(clips: list[dict]) -> list[dict]:
        return [load[2](load[1](load[0](dict(clip)))) for clip in clips]

    runs = {
        'plain': lambda clips: torch.utils.data.default_collate(
            [(plain_frame(c['img_path']), plain_sound(c['audio_path'])) for c in clips]
        ),
        'worker': work,
        'all in': lambda clips: preprocessor.prepare(av_collate(work(clips))),
        'JPEG alone': lambda clips: [cv2.imread(c['img_path']) for c in clips],
    }
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            clips = write_clips(Path(folder), case, args.num)
            found = np.array(
                [
                    [clock(run, clips) for run in runs.values()]
                    for _ in range(args.repeats + 1)
                ][1:]
            )
        print('frames {}x{}, sounds {} Hz, {} channels:'.format(*case))
        for name, times in zip(runs, found.T, strict=True):
            ratio = np.median(found[:, 0] / times)
            print(f'  {name:<11} {np.median(times):7.3f} ms a clip, {ratio:5.1f}x')


if __name__ == '__main__':
    main()
