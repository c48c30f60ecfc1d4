"""Check of XPL on one GPU, in eight minutes.

It answers, one after the other, and goes on where one fails:

- epoch: is an epoch on a small synthetic world the same on the GPU as on the CPU, and
  as in a process group of one process (NCCL)? All are trained by ``tools/train.py``,
  in fp32 without TF32. Rounding differs, and every step passes on the difference: the
  first losses must agree to 1e-3, relative, and the mean loss of the epoch to 2 %.
- profile: which operations the step of the VGG-SS config takes its time for.
- speed: clips a second and peak memory of that step in several precisions and memory
  formats, and the same for the bare step of ``step_speed.py``; variants that do not
  begin within the eight minutes are left out.

The data are noise and a world that is made here; nothing is downloaded. With
``--device cpu --quick`` it runs in a few minutes on a CPU, with the sizes of a trial.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import mmxpl  # noqa: F401  (before PyTorch, whose threads wait as it says)

# isort: split
import numpy as np
import torch
from mmengine.config import Config
from step_speed import WARM_UP, BareStep, NoiseData, TimedLoop, noise_config, timed

from mmxpl.datasets import av_collate
from mmxpl.engine.optim import use_amp_everywhere
from mmxpl.engine.runner import build_runner
from mmxpl.registry import LOOPS

ROOT = Path(__file__).parents[1]
VGGSS, SYNTHETIC = (ROOT / f'configs/xpl/xpl_{k}.py' for k in ('vggss', 'synthetic'))
MINUTES = 6.5  # a variant takes up to one and a half
FIRST_STEPS, SCORE = 5, 'ens/CIoU@0.5_adaptive'
# options of a localizer, and the precision
BF16 = dict(type='AmpOptimWrapper', dtype='bfloat16')
VARIANTS = {
    'fp32': ({}, None),
    'fp32, contiguous': (dict(channels_last=False), None),
    'bf16': ({}, BF16),
    'bf16, contiguous': (dict(channels_last=False), BF16),
    'bf16, compiled': (dict(compile_cfg=dict()), BF16),
}


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--device', choices=('cuda', 'cpu'), default='cuda')
    parser.add_argument('--quick', action='store_true', help='sizes of a trial')
    parser.add_argument(
        '--only', nargs='+', choices=CHECKS, default=list(CHECKS), help='default: all'
    )
    args = parser.parse_args()
    if args.device == 'cuda' and not torch.cuda.is_available():
        parser.error('there is no GPU: --device cpu')
    if args.device == 'cpu' and torch.cuda.is_available():
        parser.error('there is a GPU, which MMEngine uses: set CUDA_VISIBLE_DEVICES=""')
    return args


def train_epoch(data: str, work_dir: Path, steps: int, **environment: str) -> dict:
    """Trains an epoch on the synthetic world in a process of its own.

    Args:
        data (str): folder of the world.
        work_dir (Path): folder for the log.
        steps (int): steps of the epoch.
        **environment (str): variables; RANK for a process group.

    Returns:
        dict: ``losses``, one a step; ``score``, the validation's; ``seconds``.
    """
    options = dict(
        **{'train_cfg.max_epochs': 1, 'train_cfg.warmup_epochs': 0},
        **{'train_dataloader.sampler.num_batches': steps},
        **{'default_hooks.logger.interval': 1, 'log_processor.window_size': 1},
        **{'default_hooks.pseudo_label_strip': None, 'env_cfg.cudnn_benchmark': False},
    )
    command = [sys.executable, ROOT / 'tools/train.py', SYNTHETIC]
    command += ['--work-dir', work_dir, '--cfg-options']
    command += [f'{key}={value}' for key, value in options.items()]
    if 'RANK' in environment:
        command += ['--launcher', 'pytorch']
    start = time.perf_counter()
    done = subprocess.run(
        list(map(str, command)),
        env=os.environ
        | dict(MMXPL_DATA_ROOT=data, NVIDIA_TF32_OVERRIDE='0')
        | environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    if done.returncode:
        raise RuntimeError(f'{done.stdout[-3000:]}\n{done.stderr[-3000:]}')
    (log,) = work_dir.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return dict(
        losses=np.array([line['loss'] for line in lines if 'loss' in line]),
        score=next(line[SCORE] for line in lines if SCORE in line),
        seconds=time.perf_counter() - start,
    )


def check_epoch(args: argparse.Namespace) -> None:
    """Compares an epoch on the CPU, on the device and in a process group."""
    steps, clips = (FIRST_STEPS + 1, 120) if args.quick else (50, 1000)
    group = dict(RANK='0', WORLD_SIZE='1', LOCAL_RANK='0', MASTER_ADDR='localhost')
    runs = {
        'CPU': dict(CUDA_VISIBLE_DEVICES=''),
        args.device: {},
        f'{args.device}, process group': dict(group, MASTER_PORT='29517'),
    }
    with tempfile.TemporaryDirectory() as folder:
        make = [sys.executable, ROOT / 'tools/dataset_converters/make_synthetic.py']
        make += ['--out', f'{folder}/world', '--train', clips, '--val', 60]
        make += ['--test', 60]
        subprocess.run(list(map(str, make)), check=True, stdout=subprocess.DEVNULL)
        found = {
            name: train_epoch(
                f'{folder}/world', Path(folder, f'run{k}'), steps, **environment
            )
            for k, (name, environment) in enumerate(runs.items())
        }
    expected, failed = found['CPU']['losses'], []
    for name, run in found.items():
        off = abs(run['losses'] / expected - 1)[:FIRST_STEPS].max()
        mean_off = abs(run['losses'].mean() / expected.mean() - 1)
        print(
            f'{name}: {len(run["losses"])} steps and a validation in '
            f'{run["seconds"]:.0f} s; loss off by {off:.1e} in the first '
            f'{FIRST_STEPS} steps, by {mean_off:.1e} in the mean; {SCORE} '
            f'{run["score"]:.2f}'
        )
        if not (off <= 1e-3 and mean_off <= 0.02):
            failed.append(name)
    if failed:
        raise AssertionError(f'other losses than on the CPU: {failed}')


def make_config(args: argparse.Namespace, variant: str, work_dir: str) -> Config:
    """Makes the VGG-SS config of a variant, with noise for data."""
    batch, steps = ((1, 3), 2) if args.quick else (None, 20)
    cfg = noise_config(str(VGGSS), batch, steps + WARM_UP, work_dir)
    cfg.log_level = 'ERROR'
    if args.quick:
        cfg.train_dataloader.dataset.size = (64, 64)
    options, precision = VARIANTS[variant]
    for localizer in cfg.model.localizers.values():
        localizer.update(options)
    cfg.optim_wrapper.update(precision or {})
    use_amp_everywhere(cfg)
    return cfg


def run_xpl(cfg: Config) -> list[np.ndarray]:
    """Trains with XPL's loop; seconds (1, 2) a step."""
    runner = build_runner(cfg)
    runner.train()
    return runner.train_loop.clocks


def run_bare(cfg: Config, device: str) -> list[np.ndarray]:
    """Trains bare on one batch; seconds (1, 2) a step."""
    data = dict(cfg.train_dataloader.dataset)
    data.pop('type')
    clips = NoiseData(**data)
    batch = av_collate([clips[i] for i in range(len(clips))])
    maps = [s.gt_map for s in batch['data_samples'] if s.is_labeled]
    tensors = (batch['inputs']['img'], batch['inputs']['audio'], torch.stack(maps))
    step = BareStep(cfg, device)
    steps = cfg.train_dataloader.sampler.num_batches
    return [timed(lambda: step(*tensors))[None] for _ in range(steps)]


def measure(run, *args) -> tuple[float, float]:
    """Seconds a step, the median, and peak memory in GiB, of the device alone."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    seconds = np.median(np.array(run(*args))[WARM_UP:, 0, 0])
    on_gpu = torch.cuda.is_available()
    return seconds, torch.cuda.max_memory_allocated() / 2**30 if on_gpu else np.nan


def check_speed(args: argparse.Namespace) -> None:
    """Measures XPL's step and the bare one in every variant."""
    print('| | XPL clips/s | bare clips/s | time ratio | XPL GiB | bare GiB |')
    print('| --- | ---: | ---: | ---: | ---: | ---: |')
    for variant in VARIANTS:
        if args.quick and 'compiled' in variant:
            continue  # C++ takes minutes to compile
        if time.perf_counter() > args.until:
            print(f'| {variant} | left out: no time | | | | |')
            continue
        with tempfile.TemporaryDirectory() as folder:
            cfg = make_config(args, variant, folder)
            cfg.train_cfg.type = 'TimedLoop'
            clips = cfg.train_dataloader.dataset
            clips = clips.labeled + clips.unlabeled
            bare, bare_memory = measure(run_bare, cfg.copy(), args.device)
            xpl, memory = measure(run_xpl, cfg)
        print(
            f'| {variant} | {clips / xpl:.1f} | {clips / bare:.1f} | {xpl / bare:.3f} '
            f'| {memory:.2f} | {bare_memory:.2f} |',
            flush=True,
        )


@LOOPS.register_module()
class ProfiledLoop(TimedLoop):
    """A training loop that prints where the time of its later steps goes."""

    def _run(self) -> torch.nn.Module:
        kinds = [torch.profiler.ProfilerActivity.CPU]
        if torch.cuda.is_available():
            kinds.append(torch.profiler.ProfilerActivity.CUDA)
        self.profiler = torch.profiler.profile(activities=kinds)
        model = super()._run()
        self.profiler.stop()
        kind = 'device' if torch.cuda.is_available() else 'cpu'
        table = self.profiler.key_averages().table(
            sort_by=f'self_{kind}_time_total', row_limit=10
        )
        print(table)
        return model

    def run_iter(self, idx: int, data_batch: dict) -> None:
        """Runs an iteration, profiled after the warm-up."""
        if idx == WARM_UP:
            self.profiler.start()
        super().run_iter(idx, data_batch)


def check_profile(args: argparse.Namespace) -> None:
    """Prints the ten operations that take most of XPL's step in bfloat16."""
    with tempfile.TemporaryDirectory() as folder:
        cfg = make_config(args, 'bf16', folder)
        cfg.train_cfg.type = 'ProfiledLoop'
        cfg.train_dataloader.sampler.num_batches = WARM_UP + (1 if args.quick else 5)
        run_xpl(cfg)


CHECKS = dict(epoch=check_epoch, profile=check_profile, speed=check_speed)


def main() -> None:
    """Runs the checks."""
    args = parse_args()
    os.environ.setdefault('MMXPL_RESNET18', 'none')
    on_gpu = args.device == 'cuda'
    name = torch.cuda.get_device_name() if on_gpu else f'CPU, {os.cpu_count()} cores'
    print(f'{name}, PyTorch {torch.__version__}')
    failed, began = [], time.perf_counter()
    args.until = began + MINUTES * 60
    for check in args.only:
        start = time.perf_counter()
        print(f'\n# {check}', flush=True)
        try:
            CHECKS[check](args)
        except Exception:
            traceback.print_exc(file=sys.stdout)
            failed.append(check)
        print(f'({time.perf_counter() - start:.0f} s)')
    print(f'\n{time.perf_counter() - began:.0f} s in all; failed: {failed or "none"}')
    sys.exit(bool(failed))


if __name__ == '__main__':
    main()
