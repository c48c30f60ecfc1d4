import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import OPTIM_WRAPPERS as ROOT_WRAPPERS
from mmengine.registry import DefaultScope

import mmxpl.engine
import mmxpl.models  # noqa: F401
from mmxpl.engine import optim
from mmxpl.engine.optim import count_warmup_epochs
from mmxpl.registry import MODELS, OPTIM_WRAPPERS, PARAM_SCHEDULERS
from mmxpl.testing import tiny_batch, tiny_model_cfg
from mmxpl.utils import DataError

needs_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(), reason='needs a GPU: float16 and loss scaling'
)


@pytest.fixture
def cpu(monkeypatch):
    monkeypatch.setattr(optim, 'get_device', lambda: 'cpu')


def build(dtype=None, device='cpu'):
    """The tiny learner, the same weights at every call."""
    torch.manual_seed(0)
    cfg = Config(dict(model=tiny_model_cfg(norm='GN')))
    if dtype is not None:
        cfg.optim_wrapper = dict(type='AmpOptimWrapper', dtype=dtype)
        optim.use_amp_everywhere(cfg)
    return MODELS.build(cfg.model).to(device)


def step(model, dtype=None):
    """One step of SGD; returns its losses."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    cfg = dict(type='OptimWrapper', optimizer=optimizer)
    if dtype is not None:
        cfg = dict(type='AmpOptimWrapper', optimizer=optimizer, dtype=dtype)
    losses = model.train_step(tiny_batch(), OPTIM_WRAPPERS.build(cfg))
    return {name: value.item() for name, value in losses.items()}


def flat(model):
    return torch.cat([w.detach().flatten() for w in model.parameters()])


def check_training(dtype, device):
    plain, mixed = build(device=device), build(dtype, device)
    want, got = step(plain), step(mixed, dtype)
    assert want.keys() == got.keys()
    for name, value in want.items():
        assert got[name] == pytest.approx(value, rel=0.05), name
    assert got != want  # it did compute in another precision
    assert all(w.dtype == torch.float32 for w in mixed.parameters())
    # the update points where that of fp32 points
    before = flat(build(device=device))
    updates = flat(mixed) - before, flat(plain) - before
    assert torch.cosine_similarity(*updates, dim=0) > 0.95


def test_bfloat16_trains_as_fp32_on_the_cpu(cpu):
    check_training('bfloat16', 'cpu')


@needs_gpu
@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
def test_mixed_precision_trains_as_fp32_on_a_gpu(dtype):
    check_training(dtype, 'cuda')


def test_networks_alone_compute_in_bfloat16(cpu):
    model = build('bfloat16')
    seen = {}

    def watch(name):
        def hook(module, inputs, output):
            seen[name] = {x.dtype for x in inputs if isinstance(x, torch.Tensor)}

        return hook

    for name in ('loss_supervised', 'loss_pseudo', 'loss_contrastive'):
        getattr(model, name).register_forward_hook(watch(name))
    for name, localizer in model.localizers.items():
        localizer.visual_projection.levels[0].register_forward_hook(watch(name))
    step(model, 'bfloat16')
    assert {name for name, kinds in seen.items() if kinds == {torch.bfloat16}} == {
        'a',
        'b',
    }
    assert all(seen[n] == {torch.float32} for n in seen if n.startswith('loss_'))


def test_contrastive_loss_does_not_fall_to_the_autocast():
    loss = MODELS.build(dict(type='MaxMILContrastiveLoss'))
    visual, audio = torch.randn(4, 16, 3, 3), torch.randn(4, 16)
    want = loss(visual, audio)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(loss(visual, audio), want)


def test_map_loss_does_not_fall_to_the_autocast():
    loss = MODELS.build(dict(type='MapBCELoss'))
    logits, target = torch.randn(4, 3, 3), torch.rand(4, 3, 3)
    want = loss(logits, target)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(loss(logits, target), want)


def test_spectrograms_are_the_same_bits(cpu):
    model = build('bfloat16')
    want = model.data_preprocessor.prepare(tiny_batch())['inputs']
    with torch.autocast('cpu', torch.bfloat16):
        got = model.data_preprocessor.prepare(tiny_batch())['inputs']
    for name in ('log_spectrogram', 'log_mel', 'img'):
        assert torch.equal(got[name], want[name]), name


def test_labels_and_predictions_are_made_in_the_precision_of_training(cpu):
    """Outside of the wrapper's autocast, as hooks and validation call them."""
    plain, mixed = build().eval(), build('bfloat16').eval()
    inputs = plain.data_preprocessor.prepare(tiny_batch())['inputs']
    with torch.no_grad():
        alone = mixed.predict_maps(inputs)
        with torch.autocast('cpu', torch.bfloat16):
            inside = mixed.predict_maps(inputs)
        reference = plain.predict_maps(inputs)
    for name, maps in alone.items():
        assert maps.dtype == torch.float32
        assert torch.equal(maps, inside[name])
        assert not torch.equal(maps, reference[name])
        torch.testing.assert_close(maps, reference[name], atol=0.03, rtol=0)


def test_a_config_without_the_wrapper_is_left_alone(cpu):
    cfg = Config(dict(model=tiny_model_cfg(), optim_wrapper=dict(type='OptimWrapper')))
    optim.use_amp_everywhere(cfg)
    assert 'amp_dtype' not in cfg.model.localizers.a
    optim.use_amp_everywhere(Config(dict(model=tiny_model_cfg())))


def test_a_localizers_own_type_stays(cpu):
    cfg = Config(
        dict(model=tiny_model_cfg(), optim_wrapper=dict(type='AmpOptimWrapper'))
    )
    cfg.model.localizers.a.amp_dtype = 'float16'
    optim.use_amp_everywhere(cfg)
    assert cfg.model.localizers.a.amp_dtype == 'float16'
    del cfg.model.localizers.a.amp_dtype
    # as a lazy config has them
    cfg.model.localizers.a.type = MODELS.get('AVLocalizer')
    cfg.optim_wrapper.type = optim.AmpOptimWrapper
    optim.use_amp_everywhere(cfg)
    assert cfg.model.localizers.a.amp_dtype == 'bfloat16'
    assert cfg.model.localizers.b.amp_dtype == 'bfloat16'


@pytest.mark.parametrize(
    ('capabilities', 'warned'),
    [
        (dict(avx512_bf16=False, amx_bf16=False), True),
        (dict(avx512_bf16=True, amx_bf16=False), False),
        (dict(avx512_bf16=False, amx_bf16=True), False),
        (dict(bf16=True), False),  # of another architecture
    ],
)
def test_a_cpu_that_only_emulates_bfloat16_is_named(
    cpu, monkeypatch, capabilities, warned
):
    monkeypatch.setattr(
        torch.cpu, 'get_capabilities', lambda: capabilities, raising=False
    )
    said = []
    monkeypatch.setattr(MMLogger, 'warning', lambda _, text: said.append(text))
    optimizer = torch.optim.SGD(build().parameters(), lr=0.1)
    optim.AmpOptimWrapper(optimizer=optimizer)
    assert any('slower than fp32' in text for text in said) == warned


@pytest.mark.parametrize(
    ('capabilities', 'on'),
    [(dict(avx512_bf16=True), True), (dict(avx512_bf16=False), False), ({}, False)],
)
def test_auto_is_bfloat16_where_the_cpu_is_known_to_compute_it(
    cpu, monkeypatch, capabilities, on
):
    monkeypatch.setattr(
        torch.cpu, 'get_capabilities', lambda: capabilities, raising=False
    )
    optimizer = torch.optim.SGD(build().parameters(), lr=0.1)
    wrapper = dict(type='AmpOptimWrapper', dtype='auto', loss_scale='dynamic')
    cfg = Config(dict(model=tiny_model_cfg(), optim_wrapper=wrapper))
    optim.use_amp_everywhere(cfg)
    found = [x.get('amp_dtype') for x in cfg.model.localizers.values()]
    assert found == ['bfloat16' if on else None] * 2
    built = OPTIM_WRAPPERS.build(dict(cfg.optim_wrapper, optimizer=optimizer))
    assert isinstance(built, optim.AmpOptimWrapper) == on


@pytest.mark.parametrize('dtype', ['float16', 'float64'])
def test_what_the_cpu_cannot_do_is_refused(cpu, dtype):
    cfg = Config(dict(model=tiny_model_cfg()))
    cfg.optim_wrapper = dict(type='AmpOptimWrapper', dtype=dtype)
    with pytest.raises(DataError, match=dtype):
        optim.use_amp_everywhere(cfg)
    optimizer = torch.optim.SGD(build().parameters(), lr=0.1)
    with pytest.raises(DataError, match=dtype):
        optim.AmpOptimWrapper(optimizer=optimizer, dtype=dtype)


def test_float16_is_the_default_of_a_gpu():
    assert optim.amp_dtype(None, 'cuda') == 'float16'
    assert optim.amp_dtype('bfloat16', 'cuda') == 'bfloat16'


def test_runners_of_this_scope_find_the_wrapper(cpu):
    optimizer = torch.optim.SGD(build().parameters(), lr=0.1)
    with DefaultScope.overwrite_default_scope('mmxpl'):
        wrapper = ROOT_WRAPPERS.build(dict(type='AmpOptimWrapper', optimizer=optimizer))
    assert isinstance(wrapper, optim.AmpOptimWrapper)


def test_the_wrappers_state_survives_a_checkpoint(cpu):
    model = build('bfloat16')
    make = dict(type='AmpOptimWrapper', clip_grad=dict(max_norm=1.0))
    wrappers = [
        OPTIM_WRAPPERS.build(
            dict(
                copy.deepcopy(make),
                optimizer=torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9),
            )
        )
        for lr in (0.1, 0.3)
    ]
    model.train_step(tiny_batch(), wrappers[0])
    wrappers[1].load_state_dict(copy.deepcopy(wrappers[0].state_dict()))
    assert wrappers[1].optimizer.param_groups[0]['lr'] == 0.1
    # and that of a run on a GPU, which has a scale
    state = copy.deepcopy(wrappers[0].state_dict())
    state['loss_scaler'] = dict(scale=65536.0, growth_tracker=3)
    wrappers[1].load_state_dict(state)
    model.train_step(tiny_batch(), wrappers[1])


@pytest.mark.parametrize('channels_last', [True, False])
def test_memory_format_is_no_matter_of_values(channels_last):
    cfg = tiny_model_cfg(norm='GN')['localizers']['a']
    # no strided 1x1 convolution, which would keep it from being channels-last
    for backbone in (cfg['visual_backbone'], cfg['audio_encoder']['backbone']):
        backbone.update(avg_down=True)
    torch.manual_seed(0)
    localizer = MODELS.build(dict(cfg, channels_last=channels_last))
    torch.manual_seed(0)
    other = MODELS.build(dict(cfg, channels_last=not channels_last))
    lies = localizer.visual_backbone.conv1.weight.is_contiguous(
        memory_format=torch.channels_last
    )
    assert lies == channels_last
    # a copy keeps it, and a checkpoint of either fits the other
    localizer = copy.deepcopy(localizer)
    localizer.load_state_dict(other.state_dict())
    assert lies == localizer.visual_backbone.conv1.weight.is_contiguous(
        memory_format=torch.channels_last
    )
    inputs = dict(
        img=torch.randn(2, 3, 48, 48), log_spectrogram=torch.randn(2, 1, 65, 32)
    )
    for got, want in zip(localizer(inputs), other(inputs), strict=True):
        torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-4)


def test_unknown_types_are_refused():
    cfg = dict(tiny_model_cfg()['localizers']['a'], amp_dtype='float32')
    with pytest.raises(ValueError, match="'float32'"):
        MODELS.build(cfg)


def frozen_learner():
    cfg = tiny_model_cfg()
    cfg['localizers']['a']['frozen'] = True
    cfg['localizers']['b']['frozen'] = ['visual_backbone.layer1']
    return MODELS.build(cfg)


@pytest.mark.parametrize(
    'paramwise_cfg', [None, dict(custom_keys={'audio_encoder': dict(lr_mult=0.1)})]
)
def test_what_is_frozen_is_in_no_optimizer(paramwise_cfg):
    model = frozen_learner()
    cfg = dict(
        optimizer=dict(type='AdamW', lr=1.0),
        constructor='mmxpl.TrainableOptimWrapperConstructor',
        paramwise_cfg=paramwise_cfg,
    )
    groups = build_optim_wrapper(model, cfg).optimizer.param_groups
    names = {p: name for name, p in model.named_parameters()}
    rates = {names[p]: group['lr'] for group in groups for p in group['params']}
    assert set(rates) == {n for n, p in model.named_parameters() if p.requires_grad}
    assert not any(n.startswith('localizers.a.visual_backbone') for n in rates)
    assert not any('b.visual_backbone.layer1' in n for n in rates)
    assert any('b.visual_backbone.layer2' in n for n in rates)
    slow = 0.1 if paramwise_cfg else 1.0
    assert rates['localizers.b.audio_projection.input.weight'] == 1.0
    encoder = [r for n, r in rates.items() if 'b.audio_encoder' in n]
    assert encoder
    assert set(encoder) == {slow}


def test_an_unknown_optimizer_is_named():
    cfg = dict(
        optimizer=dict(type='Adm', lr=1.0),
        constructor='mmxpl.TrainableOptimWrapperConstructor',
    )
    with pytest.raises(DataError, match="optimizer.type 'Adm' is no optimizer"):
        build_optim_wrapper(torch.nn.Linear(1, 1), cfg)


SCHEDULE = (
    Path(__file__).resolve().parents[2] / 'configs/_base_/schedules/adamw_cosine.py'
)


def rates(epochs, steps):
    """Learning rate of each step, as the runner builds the schedule."""
    net = torch.nn.Linear(1, 1)
    wrapper = OptimWrapper(torch.optim.SGD(net.parameters(), lr=1.0))
    built = []
    for cfg in Config.fromfile(SCHEDULE).param_scheduler:
        total = epochs if cfg.get('by_epoch', True) else epochs * steps
        args = dict(optimizer=wrapper, epoch_length=steps)
        built.append(PARAM_SCHEDULERS.build({'end': total, **cfg}, default_args=args))
    values = []
    for _ in range(epochs * steps):
        values.append(wrapper.get_lr()['lr'][0])
        net(torch.ones(1, 1)).sum().backward()
        wrapper.step()
        for scheduler in built:
            scheduler.step()
    return values


@pytest.mark.parametrize(
    ('epochs', 'steps', 'warmup'), [(16, 50, 50), (4, 50, 20), (12, 5, 6), (2, 4, 0)]
)
def test_warm_up_is_a_tenth_at_most_and_the_end_is_near_zero(epochs, steps, warmup):
    values = rates(epochs, steps)
    peak = max(range(len(values)), key=values.__getitem__)
    assert peak == max(warmup - 1, 0)
    assert values[0] == pytest.approx(0.1 if warmup else 1.0)
    assert values[peak] > 0.85
    assert values[-1] < 0.25 if epochs * steps < 20 else values[-1] < 0.02


@pytest.mark.parametrize(
    ('warmup', 'epochs', 'expected'),
    [
        (0, 4, 0),
        (9, 16, 9),
        (1, 1, 1),
        (0.55, 16, 9),
        (0.55, 12, 7),
        (0.55, 4, 2),
        (0.1, 20, 2),
        (0.1, 4, 1),  # a share is one epoch at least
    ],
)
def test_a_number_or_a_share(warmup, epochs, expected):
    assert count_warmup_epochs(warmup, epochs) == expected


@pytest.mark.parametrize('warmup', [-1, 1.5])
def test_others_are_named(warmup):
    with pytest.raises(ValueError, match=r'train_cfg\.warmup_epochs is a number'):
        count_warmup_epochs(warmup, 10)
