import pytest
import torch

from mmxpl.evaluation.functional import upsample_maps
from mmxpl.registry import MODELS
from mmxpl.testing import tiny_batch, tiny_model_cfg
from mmxpl.utils.errors import DataError


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MODELS.build(tiny_model_cfg())


def with_pseudo_labels(batch, requires_grad=False):
    for sample in batch['data_samples']:
        if not sample.is_labeled:
            sample.pseudo_label = torch.rand(2, 6, 6, requires_grad=requires_grad)
    return batch


def grads(model, batch, keys):
    model.zero_grad()
    data = model.data_preprocessor(batch, False)
    losses = model(**data, mode='loss')
    sum(losses[key] for key in keys).backward()
    return {
        name: sum(
            p.grad.abs().sum().item()
            for p in localizer.parameters()
            if p.grad is not None
        )
        for name, localizer in model.localizers.items()
    }


def test_every_parameter_of_both_localizers_learns(model):
    batch = with_pseudo_labels(tiny_batch())
    data = model.data_preprocessor(batch, True)
    loss, log_vars = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    assert {f'{m}.loss_{k}' for m in 'ab' for k in ('supervised', 'pseudo')} <= set(
        log_vars
    )
    # foreground is logged, not summed
    total = sum(
        float(v) for k, v in log_vars.items() if k.split('.')[-1].startswith('loss_')
    )
    assert float(log_vars['loss']) == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize('labeled', [0, 3])
def test_without_targets_any_loss_is_a_zero_in_the_graph(model, labeled):
    model.loss_supervised.forward = lambda logits, target: (logits - target).mean()
    model.loss_pseudo.forward = model.loss_supervised.forward
    data = model.data_preprocessor(tiny_batch(labeled, 3 - labeled), True)
    losses = model(**data, mode='loss')
    kinds = ('pseudo',) if labeled else ('supervised', 'pseudo')
    for loss in (losses[f'{name}.loss_{kind}'] for name in 'ab' for kind in kinds):
        assert loss.item() == 0
        loss.backward(retain_graph=True)
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert grads
    assert not any(grad.any() for grad in grads)


@pytest.mark.parametrize('kind', ['supervised', 'pseudo', 'contrastive'])
@pytest.mark.parametrize('name', ['a', 'b'])
def test_a_localizer_s_loss_reaches_that_localizer_alone(model, kind, name):
    got = grads(model, with_pseudo_labels(tiny_batch()), [f'{name}.loss_{kind}'])
    other = 'b' if name == 'a' else 'a'
    assert got[name] > 0
    assert got[other] == 0


def test_nothing_flows_through_pseudo_labels(model):
    batch = with_pseudo_labels(tiny_batch(), requires_grad=True)
    label = batch['data_samples'][-1].pseudo_label
    data = model.data_preprocessor(batch, False)
    losses = model(**data, mode='loss')
    assert losses['a.loss_pseudo'].requires_grad
    (grad,) = torch.autograd.grad(losses['a.loss_pseudo'], label, allow_unused=True)
    assert grad is None


@pytest.mark.parametrize(
    ('loss', 'momentum'), [('MaxMILContrastiveLoss', None), ('SLAVCLoss', 0.9)]
)
def test_a_clip_that_occurs_twice_is_no_negative_of_itself(loss, momentum):
    cfg = tiny_model_cfg(loss_contrastive=dict(type=loss), target_momentum=momentum)
    model = MODELS.build(cfg).eval()
    data = model.data_preprocessor(tiny_batch(2, 3), False)
    once = model(**data, mode='loss')
    twice = dict(
        inputs={name: torch.cat([x, x[1:4]]) for name, x in data['inputs'].items()},
        data_samples=data['data_samples'] + data['data_samples'][1:4],
    )
    again = model(**twice, mode='loss')
    for name in 'ab':
        key = f'{name}.loss_contrastive'
        torch.testing.assert_close(again[key], once[key])


def test_targets_decide_which_loss_there_is(model):
    data = model.data_preprocessor(tiny_batch(), False)
    losses = model(**data, mode='loss')
    assert losses['a.loss_pseudo'].item() == 0
    assert losses['a.loss_supervised'].item() > 0
    # ground truth of a clip that is not labeled is not learnt from
    for sample in data['data_samples']:
        sample.set_metainfo(dict(is_labeled=False))
    assert model(**data, mode='loss')['a.loss_supervised'].item() == 0


def test_a_labeled_clip_without_ground_truth_is_refused(model):
    data = model.data_preprocessor(tiny_batch(), False)
    del data['data_samples'][1].gt_map
    with pytest.raises(DataError, match=r"'l1' is labeled .* put RasterizeTargets"):
        model(**data, mode='loss')


def test_supervised_loss_equals_a_slow_reference(model):
    model.eval()
    data = model.data_preprocessor(tiny_batch(), False)
    got = model(**data, mode='loss')['b.loss_supervised'].item()
    with torch.no_grad():
        logits = model.localizers['b'](data['inputs']).logits
    total, cells = 0.0, 0
    for i in range(2):
        gt = data['data_samples'][i].gt_map
        for r in range(6):
            for c in range(6):
                # adaptive pooling's cells of 224 / 6 pixels
                rows = slice(r * 224 // 6, -(-(r + 1) * 224 // 6))
                cols = slice(c * 224 // 6, -(-(c + 1) * 224 // 6))
                share = gt[rows, cols].mean().item()
                p = torch.sigmoid(logits[i, r, c])
                total -= share * p.log().item() + (1 - share) * (1 - p).log().item()
                cells += 1
    assert got == pytest.approx(total / cells, rel=1e-4)


def test_predict_writes_the_maps_and_their_mean(model):
    model.eval()
    batch = tiny_batch()
    with torch.no_grad():
        samples = model.test_step(batch)
    for sample in samples:
        maps = sample.pred_map
        assert maps.a.shape == maps.b.shape == maps.ens.shape == (1, 6, 6)
        torch.testing.assert_close(maps.ens, (maps.a + maps.b) / 2)
        assert maps.ens.min() >= 0
        assert maps.ens.max() <= 1
    assert not torch.allclose(samples[0].pred_map.a, samples[0].pred_map.b)


@pytest.mark.parametrize(('map_size', 'covered'), [(None, 1 / 10), (60, 1 / 6)])
def test_cells_are_areas_of_the_frame(monkeypatch, map_size, covered):
    """What lights a column of 6 covers a sixth, where corners are aligned as well."""
    model = MODELS.build(dict(tiny_model_cfg(), map_size=map_size))
    column = torch.full((4, 6, 6), -4.0)
    column[:, :, 0] = 4
    monkeypatch.setattr(model, 'log_odds', lambda _: dict(a=column, b=column))
    sample = model.predict(tiny_batch()['inputs'])[0]
    scored = upsample_maps(sample.pred_map.ens, 224, 'bilinear') >= 0.5
    assert scored.float().mean().item() == pytest.approx(covered, abs=0.01)
    assert torch.equal(sample.pred_map.a, sample.pred_map.ens)


def test_the_threshold_does_not_change_which_pixels_of_a_resized_map_rank_first():
    model = MODELS.build(dict(tiny_model_cfg(), map_size=60)).eval()
    found = []
    with torch.no_grad():
        for shift in (0.0, 0.2):
            model.localizers['a'].calibration[0] += shift
            found.append(model.test_step(tiny_batch())[0].pred_map.a.logit())
        width = model.localizers['a'].calibration[1].exp()
    torch.testing.assert_close(found[0] - found[1], (0.2 / width).expand(1, 60, 60))


def test_prediction_does_not_depend_on_the_batch(model):
    model.eval()
    batch = tiny_batch()
    with torch.no_grad():
        together = model.test_step(batch)
        alone = model.test_step(
            dict(
                inputs={k: v[1:2] for k, v in batch['inputs'].items()},
                data_samples=batch['data_samples'][1:2],
            )
        )
    torch.testing.assert_close(
        together[1].pred_map.ens, alone[0].pred_map.ens, atol=1e-5, rtol=1e-4
    )


def test_the_sound_matters(model):
    model.eval()
    batch = tiny_batch()
    with torch.no_grad():
        one = model.test_step(batch)[0].pred_map.ens
        batch['inputs']['audio'] = batch['inputs']['audio'].flip(0)
        other = model.test_step(batch)[0].pred_map.ens
    assert not torch.allclose(one, other)


def test_wrong_modes_and_names(model):
    with pytest.raises(RuntimeError, match='Invalid mode "train"'):
        model({}, mode='train')
    cfg = tiny_model_cfg()
    with pytest.raises(ValueError, match='ensemble'):
        MODELS.build(dict(cfg, localizers=dict(ens=cfg['localizers']['a'])))


def test_a_deaf_learner_hears_nothing_in_any_localizer():
    torch.manual_seed(0)
    deaf = MODELS.build(tiny_model_cfg(deaf=True)).eval()
    batch = tiny_batch()
    data = deaf.data_preprocessor(batch, False)['inputs']
    other = {k: torch.randn_like(v) if 'log' in k else v for k, v in data.items()}
    for name, maps in deaf(data).items():
        assert torch.equal(maps, deaf(other)[name])
    hearing = MODELS.build(tiny_model_cfg()).eval()
    assert not torch.equal(hearing(data)['a'], hearing(other)['a'])


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (dict(map_size=-3), 'model.map_size is a number of pixels or None, got -3'),
        (dict(map_size=0), 'got 0'),
        (dict(localizers={}), 'model.localizers is empty'),
        (dict(localizers=dict(b=None)), r'localizers\.b .* got None.*_delete_=True'),
        (dict(localizers=dict(b='c')), "localizers.b .* another localizer, got 'c'"),
    ],
)
def test_wrong_settings_are_named(settings, words):
    with pytest.raises(DataError, match=words):
        MODELS.build(dict(tiny_model_cfg(), **settings))
