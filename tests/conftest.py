"""A world of a dozen clips on disk that every test can read, and a warm Python."""

import functools
import gc
import json
import logging
import os
import shutil
import tempfile
from multiprocessing import spawn
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from pycocotools import mask as coco_mask

from tests.videos import write_clock_video, write_video
from tests.warm_python import WarmPython

# variables that tests themselves read; others would change what they test
OF_TESTS = {'MMXPL_KILL_SEEDS', 'MMXPL_SCREENSHOTS', 'MMXPL_TUXPAINT'}
WARM_PYTHON = pytest.StashKey[WarmPython]()
CLASSES = ('bell', 'drum', 'horn')
COLOURS = ((40, 200, 230), (60, 60, 220), (220, 120, 30))
NUM_CLIPS = 12
HEIGHT, WIDTH = 48, 64
SAMPLE_RATE = 8000


def pytest_configure(config):
    """Makes the warm Python, one for all processes of pytest-xdist.

    The variables MMXPL_* of users are cleared. The garbage collector, which would go
    through all that is imported again and again, is off until the tests begin.
    """
    gc.disable()
    for name in list(os.environ):
        if name.startswith('MMXPL_') and name not in OF_TESTS:
            del os.environ[name]
    if not hasattr(config, 'workerinput'):
        config.stash[WARM_PYTHON] = WarmPython(Path(tempfile.mkdtemp()))


def pytest_collection_finish():
    """Has the garbage collector, which every new data set calls, leave modules out."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    """Tells a process of pytest-xdist where it is."""
    node.workerinput['warm_python'] = node.config.stash[WARM_PYTHON].path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Gives a file with the mark ``xdist_group`` to one process, other tests to any.

    So what its tests share is made once. pytest-xdist 3.8 itself looks for the mark
    (``--dist loadgroup``) where pytest 9.2 has no names of tests any more.
    """
    if config.option.dist != 'load':
        return None
    from xdist.scheduler import LoadScopeScheduling

    @functools.cache
    def is_group(path):
        return 'pytest.mark.xdist_group(' in (config.rootpath / path).read_text('utf-8')

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            path = nodeid.partition('::')[0]
            return path if is_group(path) else nodeid

    return Scheduling(config, log)


def pytest_unconfigure(config):
    """Ends it."""
    if WARM_PYTHON in config.stash:
        warm_python = config.stash[WARM_PYTHON]
        warm_python.close()
        shutil.rmtree(Path(warm_python.path).parent)


@pytest.fixture(scope='session')
def warm_python(request):
    """Path of a Python that starts fast; see :mod:`tests.warm_python`."""
    config = request.config
    if hasattr(config, 'workerinput'):
        return config.workerinput['warm_python']
    return config.stash[WARM_PYTHON].path


@pytest.fixture(scope='module')
def warm_spawn(warm_python):
    """Has processes that :mod:`multiprocessing` spawns start fast."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spawn, '_python_exe', os.fsencode(warm_python))
        yield


def write_tiny_world(root: Path) -> Path:
    """Writes the world; the same bytes at every call.

    Twelve clips of 48x64 px and 0.5 to 1 s: ``frames/``, ``audio/``,
    ``vggss.json``, ``annotations.json`` and the lists ``train.txt`` (8 clips),
    ``val.txt`` (2) and ``test.txt`` (2). Every frame shows two objects of
    different classes; the first one sounds, in every fourth clip both do.
    """
    (root / 'frames').mkdir(parents=True)
    (root / 'audio').mkdir()
    clips = [_write_clip(root, index) for index in range(NUM_CLIPS)]
    annotations = {
        'metainfo': {'classes': list(CLASSES)},
        'data_list': clips,
    }
    (root / 'annotations.json').write_text(json.dumps(annotations))
    vggss = [
        {'file': c['sample_id'], 'class': c['category'], 'bbox': c['bboxes']}
        for c in clips
    ]
    (root / 'vggss.json').write_text(json.dumps(vggss))
    ids = [clip['sample_id'] for clip in clips]
    for name, part in (('train', ids[:8]), ('val', ids[8:10]), ('test', ids[10:])):
        (root / f'{name}.txt').write_text('\n'.join(part) + '\n')
    return root


def _write_clip(root: Path, index: int) -> dict:
    rng = np.random.default_rng(index)
    sample_id = f'clip-{index:02d}'
    coarse = rng.integers(60, 180, (6, 8, 3), dtype=np.uint8)
    frame = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    union = np.zeros((HEIGHT, WIDTH), np.uint8)
    objects = []
    for place in range(2):
        label = (index + place) % len(CLASSES)
        sounding = place == 0 or index % 4 == 0
        half = (int(rng.integers(8, 14)), int(rng.integers(8, 18)))
        centre = (18 + 28 * place, int(rng.integers(20, 28)))
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        cv2.ellipse(mask, centre, half, 0, 0, 360, 1, thickness=-1)
        frame[mask > 0] = COLOURS[label]
        rows, columns = np.nonzero(mask)
        box = [
            columns.min() / WIDTH,
            rows.min() / HEIGHT,
            (columns.max() + 1) / WIDTH,
            (rows.max() + 1) / HEIGHT,
        ]
        objects.append(
            {
                'category': CLASSES[label],
                'bbox': [float(v) for v in box],
                'sounding': sounding,
            }
        )
        if sounding:
            union |= mask
    cv2.imwrite(str(root / 'frames' / f'{sample_id}.jpg'), frame)
    _write_sound(root / 'audio' / f'{sample_id}.wav', index, rng)
    rle = coco_mask.encode(np.asfortranarray(union))
    return {
        'sample_id': sample_id,
        'img_path': f'frames/{sample_id}.jpg',
        'audio_path': f'audio/{sample_id}.wav',
        'category': objects[0]['category'],
        'bboxes': [o['bbox'] for o in objects if o['sounding']],
        'mask': {'size': rle['size'], 'counts': rle['counts'].decode('ascii')},
        'objects': objects,
    }


def _write_sound(path: Path, index: int, rng: np.random.Generator) -> None:
    time = np.arange(int(rng.uniform(0.5, 1.0) * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = 220.0 * 2 ** (index % len(CLASSES))
    wave = 0.5 * np.sin(2 * np.pi * pitch * time) + 0.05 * rng.standard_normal(
        len(time)
    )
    soundfile.write(path, wave.clip(-1, 1), SAMPLE_RATE, subtype='PCM_16')


@pytest.fixture(scope='session')
def make_video():
    """Gives :func:`write_video`."""
    return write_video


@pytest.fixture(scope='session')
def make_clock_video():
    """Gives :func:`write_clock_video`."""
    return write_clock_video


@pytest.fixture(autouse=True)
def nothing_left_behind():
    """Takes back the default scope and the variables that a test's tools set."""
    before = dict(os.environ)
    yield
    DefaultScope._instance_dict.clear()
    if os.environ != before:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope='session')
def tiny_world(tmp_path_factory) -> Path:
    """Folder of the tiny world; shared by all tests, so only to be read."""
    return write_tiny_world(tmp_path_factory.mktemp('tiny') / 'world')


@pytest.fixture
def spoilable_world(tiny_world, tmp_path) -> Path:
    """A copy of the tiny world that the test may change."""
    return Path(shutil.copytree(tiny_world, tmp_path / 'world'))


@pytest.fixture
def logged():
    """Messages that MMEngine's current logger gets; a function returns them."""
    logger, messages = MMLogger.get_current_instance(), []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    # a test before this one may have left a quiet logger
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield lambda: '\n'.join(messages)
    logger.removeHandler(handler)
    logger.setLevel(level)


def tiny_config(root: Path) -> Config:
    """Config of a tiny learner with the test split of the tiny world."""
    from mmxpl.testing import tiny_model_cfg

    pipeline = [
        dict(type='LoadFrame', size=(48, 48), cache=None),
        dict(type='LoadAudio', sample_rate=8000, duration=0.5, cache=None),
        dict(type='RasterizeTargets', size=224),
        dict(type='PackAVInputs'),
    ]
    dataset = dict(
        type='VGGSSDataset',
        data_root=str(root),
        id_list='test.txt',
        labeled=True,
        test_mode=True,
        pipeline=pipeline,
    )
    return Config(
        dict(
            default_scope='mmxpl',
            model=tiny_model_cfg(),
            test_dataloader=dict(batch_size=2, dataset=dataset),
        ),
        format_python_code=False,
    )


def write_checkpoint(path: Path, cfg: Config) -> Path:
    """Writes weights that are not those of a fresh learner, as training does."""
    import torch

    from mmxpl.registry import MODELS, register_all_modules

    register_all_modules(init_default_scope=False)
    torch.manual_seed(3)
    learner = MODELS.build(cfg.model)
    state = {
        key: torch.rand_like(value) * 0.2 + 0.5 if 'running_var' in key else value
        for key, value in learner.state_dict().items()
    }
    torch.save(
        dict(
            meta=dict(cfg=cfg.pretty_text, epoch=2),
            state_dict=state,
            optimizer=dict(state={}),
            message_hub={},
        ),
        path,
    )
    return path


@pytest.fixture(scope='session')
def tiny_cfg(tiny_world):
    return tiny_config(tiny_world)


@pytest.fixture(scope='session')
def tiny_checkpoint(tiny_cfg, tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp('ckpt') / 'tiny.pth', tiny_cfg)


@pytest.fixture(scope='session')
def inferencer(tiny_checkpoint):
    """An inferencer of a tiny learner."""
    from mmxpl.apis import XPLInferencer

    return XPLInferencer(weights=tiny_checkpoint, device='cpu', show_progress=False)
