import errno
import multiprocessing
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import ConcatDataset

from mmxpl.pseudo_labels import PseudoLabelBank, PseudoLabeler
from mmxpl.registry import (
    DATA_SAMPLERS,
    HOOKS,
    MODELS,
    PARAM_SCHEDULERS,
    VISBACKENDS,
)
from mmxpl.testing import tiny_model_cfg
from mmxpl.utils import DataError
from mmxpl.utils.cli import (
    one_clear_error,
)
from mmxpl.utils.errors import describe


def test_data_error_becomes_one_message(capsys):
    with pytest.raises(SystemExit) as caught, one_clear_error():
        raise DataError('x.wav is empty.')
    assert caught.value.code == 2
    assert capsys.readouterr().err == 'error: x.wav is empty.\n'


def test_error_of_a_data_loader_worker_loses_its_traceback(capsys):
    torch_data = pytest.importorskip('torch.utils.data')

    class Broken(torch_data.Dataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            raise DataError(f'clip {index} is corrupt.')

    loader = torch_data.DataLoader(Broken(), num_workers=1)
    with pytest.raises(SystemExit), one_clear_error():
        next(iter(loader))
    assert capsys.readouterr().err == 'error: clip 0 is corrupt.\n'


@pytest.mark.parametrize(
    ('path', 'words'),
    [
        ('file/inside', "file/inside': Not a directory."),
        ('none', "none': No such file or directory."),
        (b'\xff'.decode(errors='surrogateescape'), r"\udcff': No such file"),
    ],
)
def test_a_file_that_cannot_be_had_is_one_message(tmp_path, capsys, path, words):
    (tmp_path / 'file').touch()
    with pytest.raises(SystemExit) as caught, one_clear_error():
        (tmp_path / path).read_bytes()
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(words) or words in line
    assert line.startswith(f"error: '{tmp_path}")


def test_a_full_disk_is_one_message(capsys):
    # as of a write, which does not know the name
    with pytest.raises(SystemExit), one_clear_error():
        raise OSError(errno.ENOSPC, 'No space left on device')
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        'error: No space left on device: a file cannot be written. Make room.'
    )


def test_a_name_that_is_no_text_is_one_message(capsys):
    name = b'clip-\xff.jpg'.decode(errors='surrogateescape')
    with pytest.raises(SystemExit), one_clear_error():
        f'{{"img": "{name}"}}'.encode()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        r"error: 'clip-\udcff.jpg': this name of a file is not UTF-8"
    )
    with pytest.raises(UnicodeEncodeError), one_clear_error():
        'ä'.encode('ascii')


def pseudo_label_hook(**settings):
    cfg = dict(type='CrossPseudoLabelHook')
    return lambda: HOOKS.build({**cfg, **settings})


def sampler(**settings):
    parts = ConcatDataset([range(4), range(8)])
    cfg = dict(
        type='CurriculumSampler',
        dataset=parts,
        labeled_per_batch=1,
        unlabeled_per_batch=1,
    )
    return lambda: DATA_SAMPLERS.build({**cfg, **settings})


def localizer(**settings):
    cfg = tiny_model_cfg()
    cfg['localizers']['a'].update(settings)
    return lambda: MODELS.build(cfg)


@pytest.mark.parametrize(
    ('build', 'words'),
    [
        (lambda: PseudoLabeler(temperature=0), 'error: temperature must be positive'),
        (lambda: PseudoLabelBank([], ['a'], 1), 'error: momentum must be in [0, 1)'),
        (
            lambda: HOOKS.build(dict(type='AreaCalibrationHook', area_ratio=0)),
            'error: area_ratio must be positive, got 0.',
        ),
        (pseudo_label_hook(momentum=1), 'error: momentum must be in [0, 1), got 1.'),
        (pseudo_label_hook(temperature=0), 'error: temperature must be positive'),
        (pseudo_label_hook(reliability=['x']), 'error: reliability is some of'),
        (pseudo_label_hook(reliability=[]), 'error: reliability is some of'),
        (
            lambda: HOOKS.build(dict(type='PreemptionHook', signals=['SIGFOO'])),
            'error: signals: this system has no SIGFOO.',
        ),
        (
            lambda: MODELS.build(dict(type='MaxMILContrastiveLoss', temperature=0)),
            'error: temperature must be positive, got 0.',
        ),
        (
            lambda: MODELS.build(dict(type='MaxMILContrastiveLoss', loss_weight=-1)),
            'error: loss_weight must not be negative, got -1.',
        ),
        (
            lambda: MODELS.build(dict(type='MapBCELoss', loss_weight=-1)),
            'error: loss_weight must not be negative, got -1.',
        ),
        (sampler(num_batches=0), 'error: num_batches must be positive, got 0.'),
        (sampler(labeled_per_batch=-1), 'error: labeled_per_batch must not be'),
        (sampler(curriculum=dict(start=0)), 'error: curriculum need'),
        (localizer(temperature=0.0), 'error: temperature must be positive, got 0.0.'),
        (localizer(visual_dropout=1.0), 'error: visual_dropout must be in [0, 1)'),
    ],
)
def test_a_setting_out_of_range_is_one_message(capsys, build, words):
    import mmxpl.engine
    import mmxpl.models  # noqa: F401

    with pytest.raises(SystemExit) as caught, one_clear_error():
        build()
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(words)


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        (
            'DataLoader worker (pid 7) is killed by signal: Bus error. It is possible '
            "that dataloader's workers are out of shared memory. Please try to raise "
            'your shared memory limit.',
            '--shm-size',
        ),
        (
            'Caught RuntimeError in DataLoader worker process 0.\nOriginal Traceback:\n'
            'RuntimeError: unable to write to file </torch_9_1>: No space left on '
            'device (28)',
            '--shm-size',
        ),
        ('DataLoader worker (pid 7) is killed by signal: Killed.', 'num_workers'),
    ],
)
def test_workers_that_end_are_one_message(capsys, text, words):
    with pytest.raises(SystemExit), one_clear_error():
        raise RuntimeError(text)
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


def fail(error):
    raise error


@pytest.mark.parametrize(
    ('allocate', 'words'),
    [
        (
            lambda: fail(torch.cuda.OutOfMemoryError('CUDA out of memory. GPU 0')),
            'GPU 0 Low',
        ),
        (lambda: np.empty(2**50), 'Unable to allocate 8.00 PiB'),
        (lambda: torch.empty(2**60), "can't allocate memory: you tried to allocate"),
    ],
)
def test_too_little_memory_is_one_message(capsys, allocate, words):
    with pytest.raises(SystemExit), one_clear_error():
        allocate()
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert 'Lower the clips of a batch' in line


def test_a_package_that_a_backend_lacks_is_one_message(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'wandb', None)
    backend = VISBACKENDS.build(dict(type='WandbVisBackend', save_dir=str(tmp_path)))
    with pytest.raises(SystemExit), one_clear_error():
        backend.add_scalar('loss', 1.0)
    (line,) = capsys.readouterr().err.splitlines()
    assert 'pip install wandb' in line


def test_features_that_do_not_fit_are_one_message(capsys):
    net = localizer()().localizers['a']
    net.audio_projection = torch.nn.Linear(63, 128)
    inputs = dict(img=torch.zeros(1, 3, 32, 32), sound=torch.zeros(6, 64))
    with pytest.raises(SystemExit), one_clear_error():
        net(inputs)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        'error: A layer of the model reads 63 features and is given 64'
    )


def test_weights_that_a_step_does_not_use_are_one_message(capsys, tmp_path):
    group = dict(init_method=f'file://{tmp_path}/group', rank=0, world_size=1)
    torch.distributed.init_process_group('gloo', **group)
    try:
        net = torch.nn.ModuleDict(dict(used=torch.nn.Linear(1, 1)))
        net['unused'] = torch.nn.Linear(1, 1)
        net.forward = lambda x: net['used'](x)
        parallel = torch.nn.parallel.DistributedDataParallel(net)
        parallel(torch.ones(1, 1)).sum().backward()
        with pytest.raises(SystemExit), one_clear_error():
            parallel(torch.ones(1, 1))
    finally:
        torch.distributed.destroy_process_group()
    (line,) = capsys.readouterr().err.splitlines()
    assert 'find_unused_parameters=True' in line


def test_a_schedule_that_there_is_not_is_one_message(capsys):
    weights = [torch.nn.Parameter(torch.zeros(1))]
    given = dict(optimizer=torch.optim.SGD(weights, 0.1), epoch_length=2)
    for convert in (True, False):
        cfg = dict(type='Cosin', convert_to_iter_based=convert)
        with pytest.raises(SystemExit), one_clear_error():
            PARAM_SCHEDULERS.build(cfg, default_args=given)
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: 'Cosin' of the config cannot be built: KeyError")


def test_channels_that_do_not_fit_are_one_message(capsys):
    net = localizer()().localizers['a']
    net.visual_backbone = torch.nn.Conv2d(1, 4, 3)
    with pytest.raises(SystemExit), one_clear_error():
        net.encode_visual(torch.zeros(2, 3, 32, 32))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        'error: A network of the model reads 1 channels and is given 3'
    )


def test_a_variable_shows_the_traceback(monkeypatch):
    monkeypatch.setenv('MMXPL_DEBUG', '1')
    with pytest.raises(DataError), one_clear_error():
        raise DataError('x')


@pytest.mark.parametrize(
    'error',
    [
        RuntimeError('x'),
        # as a layer of a user's own loss
        RuntimeError('mat1 and mat2 shapes cannot be multiplied (6x64 and 63x128)'),
        ValueError('not of this package'),
        TypeError('x'),
    ],
)
def test_faults_of_the_program_keep_their_traceback(error):
    with pytest.raises(type(error)), one_clear_error():
        raise error


@pytest.mark.parametrize(
    ('cfg', 'words'),
    [
        (dict(type='nn.Sigmoidd'), "'nn.Sigmoidd' of the config cannot be built: KeyE"),
        (dict(type='FCOS'), "'FCOS' of the config cannot be built (did you mean 'mmde"),
        (dict(type='CrossPseudoLabelHook', temperature='x'), "'CrossPseudoLabelHook' "),
        (dict(type='AVLocalizer'), "'AVLocalizer' of the config cannot be built: Type"),
        (None, "'None' of the config cannot be built: TypeError: cfg should be a dict"),
    ],
)
def test_a_config_that_cannot_be_built_is_one_message(capsys, cfg, words):
    registry = HOOKS if cfg and 'Hook' in cfg['type'] else MODELS
    with pytest.raises(SystemExit) as caught, one_clear_error():
        registry.build(cfg)
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f'error: {words}')
    assert 'MMXPL_DEBUG=1' in line


def test_the_innermost_part_that_cannot_be_built_is_named(capsys):
    cfg = tiny_model_cfg()
    cfg['localizers']['a']['visual_backbone'] = dict(type='mmdet.ResNet', depth=17)
    with pytest.raises(SystemExit), one_clear_error():
        MODELS.build(cfg)
    (line,) = capsys.readouterr().err.splitlines()
    assert "'mmdet.ResNet' of the config" in line
    assert 'invalid depth 17 for resnet' in line


def test_a_value_that_an_error_quotes_is_named_by_its_key(capsys):
    cfg = Config(dict(env_cfg=dict(mp_cfg=dict(start='foo')), hook=dict(type='Hook')))
    with pytest.raises(SystemExit), one_clear_error():
        multiprocessing.get_context(cfg.env_cfg.mp_cfg.start)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "error: env_cfg.mp_cfg.start: ValueError: cannot find context for 'foo' (MMXPL"
    )
    with pytest.raises(ValueError, match='baz'), one_clear_error():
        multiprocessing.get_context('baz')  # is not of the config
    with pytest.raises(TypeError, match="'Hook'"), one_clear_error():
        iter(Hook())  # a fault of the program


def test_an_error_that_is_its_own_cause_is_described():
    error = ImportError('x')
    error.__cause__ = error
    assert describe(error) == 'ImportError: x (MMXPL_DEBUG=1 shows the traceback)'


def test_other_errors_keep_their_traceback():
    with pytest.raises(KeyError), one_clear_error():
        raise KeyError('x')


@pytest.mark.parametrize(
    ('name', 'options', 'words'),
    [
        ('call_hook', dict(fn_name='before_train'), 'error: PreemptionHook saves with'),
        (
            'scale_lr',
            dict(optim_wrapper=None, auto_scale_lr=dict(enable=True)),
            'error: The config cannot be used: Lack of `base_batch_size`',
        ),
        (
            'build_model',
            dict(model=3),
            'error: The config cannot be used: model should',
        ),
    ],
)
def test_what_the_runner_refuses_is_one_message(capsys, name, options, words):
    hook = HOOKS.build(dict(type='PreemptionHook'))
    runner = SimpleNamespace(_hooks=[hook], hooks=[hook])
    with pytest.raises(SystemExit), one_clear_error():
        getattr(Runner, name)(runner, **options)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(words)


def test_a_fault_of_a_hook_keeps_its_traceback():
    class Faulty(Hook):
        def before_run(self, runner):
            return 1 + 'x'

    with pytest.raises(TypeError, match='unsupported operand'), one_clear_error():
        Runner.call_hook(SimpleNamespace(_hooks=[Faulty()]), 'before_run')
