"""Speed of loading clips against a plain loader as public code has it, per core.

The plain one does what EZ-VSL (Mo & Morgado, ECCV 2022) does to a clip: Pillow decodes,
resizes bicubically, crops and flips; PyAV decodes 3 s of sound from the middle;
SciPy computes the log spectrogram; each clip by itself. mmxpl's loads, packs and stacks
a batch in the worker; the main process normalises it and computes the same spectrogram
of all sounds. All take turns, each with a worker of its own that sends whole batches,
with memory kept as in the tools; times are of the CPU, all in those of both processes.
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
        wanted = 3 * rate
        for frame in container.decode(stream):
            parts.append(frame.to_ndarray().reshape(-1, count).T)
            wanted -= frame.samples
            if wanted <= 0:
                break
    wave = np.concatenate(parts, axis=1).astype(np.float32, 'C') / 32768
    wave = wave.clip(-1, 1).mean(axis=0)[: 3 * rate]
    power = signal.spectrogram(wave, rate, nperseg=512, noverlap=274)[2]
    return torch.from_numpy(np.log(power + 1e-7))[None].float().div(12)


def clock(load, finish, clips: list[dict], count: int) -> np.ndarray:
    """Loads batches in a worker process, as a training does.

    Returns:
        np.ndarray: Milliseconds of CPU a clip of the worker and of the main process, of
        each of ``count`` batches.
    """

    def timed(part: list[dict]) -> tuple:
        return load(part), time.process_time()

    # two batches more: the first pays for the start of the worker
    loader = torch.utils.data.DataLoader(
        clips * (count + 2),
        len(clips),
        num_workers=1,
        collate_fn=timed,
        multiprocessing_context='fork',
    )
    times = []
    for batch, of_worker in loader:
        finish(batch)
        times.append((of_worker, time.process_time()))
    return 1000 * np.diff(times, axis=0)[1:] / len(clips)


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
    frame, sound, pack = LoadFrame(224), LoadAudio(16000, 3.0), PackAVInputs()

    def plain(clips: list[dict]) -> list:
        return torch.utils.data.default_collate(
            [(plain_frame(c['img_path']), plain_sound(c['audio_path'])) for c in clips]
        )

    def ours(clips: list[dict]) -> dict:
        return av_collate([pack(sound(frame(dict(clip)))) for clip in clips])

    def decode(clips: list[dict]) -> None:
        for clip in clips:
            cv2.imread(clip['img_path'])

    def keep(batch) -> None:
        """Does nothing: the batch is what the networks take."""

    runs = {
        'plain': (plain, keep),
        'mmxpl': (ours, preprocessor.prepare),
        'JPEG alone': (decode, keep),
    }
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            clips = write_clips(Path(folder), case, args.num)
            found = np.array(
                [
                    [np.median(clock(*run, clips, 3), axis=0) for run in runs.values()]
                    for _ in range(args.repeats)
                ]
            )
        print('frames {}x{}, sounds {} Hz, {} channels, ms a clip:'.format(*case))
        for n, name in enumerate(runs):
            line = f'  {name:<11}'
            for what, times in (('worker', found[..., 0]), ('all in', found.sum(-1))):
                ratio = np.median(times[:, 0] / times[:, n])
                line += f'{what} {np.median(times[:, n]):7.3f}, {ratio:5.1f}x   '
            print(line.rstrip())


if __name__ == '__main__':
    main()
