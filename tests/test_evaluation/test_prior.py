import numpy as np
import pytest
import torch
import torch.nn.functional as F

import mmxpl.models  # noqa: F401
from mmxpl.evaluation import CIoUMetric
from mmxpl.evaluation.functional import rasterize_boxes
from mmxpl.evaluation.prior import ObjectPrior, load_prior, mix_object_map
from mmxpl.registry import MODELS
from mmxpl.utils import DataError

SIZE = 32


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    """A file with torchvision's names, of random weights."""
    torch.manual_seed(0)
    net = MODELS.build(dict(type='mmdet.ResNet', depth=18, out_indices=(3,)))
    state = net.state_dict()
    state |= {'fc.weight': torch.zeros(1000, 512), 'fc.bias': torch.zeros(1000)}
    path = tmp_path_factory.mktemp('weights') / 'resnet18.pth'
    torch.save(state, path)
    return str(path)


def batch(count=3):
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (count, 3, 64, 64), generator=generator)
    samples = []
    for i in range(count):
        gt_map = rasterize_boxes(torch.tensor([[0.1, 0.2, 0.6, 0.7]]), SIZE)
        pred = {m: torch.rand(1, 7, 7, generator=generator) for m in 'ab'}
        samples.append(dict(sample_id=f'clip{i}', gt_map=gt_map, pred_map=pred))
    return dict(inputs=dict(img=list(images.to(torch.uint8)))), samples


def score(**kwargs):
    metric = CIoUMetric(models=('a', 'b'), n_expected=3, **kwargs)
    metric.dataset_meta = {}
    metric.process(*batch())
    return metric.compute_metrics(metric.results)


def slow_mix(av, obj, alpha, size):
    def full(m):
        m = F.interpolate(
            m[None, None], (size, size), mode='bilinear', align_corners=True
        )
        m = m[0, 0].double().numpy()
        return (m - m.min()) / (m.max() - m.min())

    mixed = alpha * full(av) + (1 - alpha) * full(obj)
    return (mixed - mixed.min()) / (mixed.max() - mixed.min())


def test_mixture_equals_a_slow_reference():
    av, obj = torch.rand(4, 10, 10), torch.rand(4, 7, 7) * 3
    mixed = mix_object_map(av, obj, 0.4, SIZE)
    for n in range(4):
        expected = slow_mix(av[n], obj[n], 0.4, SIZE)
        np.testing.assert_allclose(mixed[n].numpy(), expected, atol=1e-5)
    flat = mix_object_map(*torch.ones(2, 1, SIZE, SIZE), 0.4, SIZE)
    assert torch.equal(flat, torch.zeros(1, SIZE, SIZE))


def test_objects_are_the_mean_activation_of_normalised_rgb(weights):
    prior = ObjectPrior(weights)
    images = torch.stack(batch()[0]['inputs']['img'])
    rgb = (
        images[:, [2, 1, 0]] / 255.0
        - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    ) / torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    rgb = F.interpolate(rgb, (224, 224), mode='bilinear', align_corners=False)
    device = next(prior.net.parameters()).device
    with torch.no_grad():
        expected = prior.net(rgb.to(device))[0].abs().mean(dim=1).cpu()
    torch.testing.assert_close(prior.objects(images), expected, rtol=1e-3, atol=1e-4)
    assert expected.shape == (3, 7, 7)


def test_rows_are_added_and_no_other_row_changes(weights, logged):
    plain = score()
    both = score(object_prior=dict(weights=weights, alpha=0.4))
    added = {key.split('/')[0] for key in both.keys() - plain.keys()}
    assert added == {'a+ogl', 'b+ogl', 'ogl'}
    assert {k: both[k] for k in plain} == plain
    assert '+ogl: 0.4 x the map + 0.6 x objectness' in logged()
    sound_alone = score(object_prior=dict(weights=weights, alpha=1.0))
    for rule in ('median', 'adaptive'):
        key = f'AUC_{rule}'
        assert sound_alone[f'a+ogl/{key}'] == pytest.approx(plain[f'a/{key}'])


def test_wrong_weights_are_named(tmp_path, weights):
    with pytest.raises(DataError, match='does not exist'):
        ObjectPrior(str(tmp_path / 'none.pth'))
    state = torch.load(weights)
    part = {k: v for k, v in state.items() if 'layer4' not in k}
    other = dict(state, **{'conv1.weight': torch.zeros(64, 1, 7, 7)})
    for name, wrong in (('part', part), ('other', other)):
        torch.save(wrong, tmp_path / f'{name}.pth')
        with pytest.raises(DataError, match='is no ResNet-18'):
            ObjectPrior(str(tmp_path / f'{name}.pth'))


def test_an_archive_is_no_prior(tmp_path):
    np.savez(tmp_path / 'prior.npz', prior=np.ones((4, 4)))
    with pytest.raises(DataError, match=r'prior\.npz is no array but NpzFile'):
        load_prior(str(tmp_path / 'prior.npz'))
