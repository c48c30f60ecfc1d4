import pytest
import torch

from mmxpl.models import MixedAudio
from mmxpl.registry import MODELS
from mmxpl.testing import tiny_batch, tiny_model_cfg
from mmxpl.utils.errors import DataError


def build(**changes):
    torch.manual_seed(0)
    return MODELS.build(tiny_model_cfg(**changes))


def test_the_sum_of_two_sounds_is_appended():
    model = build()
    inputs = model.data_preprocessor(tiny_batch(4, 0), False)['inputs']
    front_ends = model.data_preprocessor.audio
    more = MixedAudio().draw(inputs, front_ends, list('uvwx'))
    waves = inputs['audio'] + inputs['audio'].roll(-1, 0)
    assert torch.equal(more['audio'], torch.cat([inputs['audio'], waves]))
    for name, front_end in front_ends.items():
        torch.testing.assert_close(more[name][4:], front_end(waves))
    assert torch.equal(more['img'], inputs['img'])


def test_of_cached_features_it_is_the_mean():
    sounds = torch.tensor([[0.0, 2.0], [4.0, 4.0], [9.0, 9.0]])
    inputs = {'a.sound': sounds, 'a.visual.0': torch.zeros(2, 3, 4, 4)}
    # the third is a further sound, of no clip
    more = MixedAudio().draw(inputs, {}, ['u', 'v'])
    assert more['a.sound'].tolist()[3:] == [[2, 3], [2, 3]]
    # the second and the third are one clip
    again = MixedAudio().draw(inputs, {}, ['u', 'v', 'v'])
    assert again['a.sound'].tolist()[3:] == [[2, 3], [2, 3], [4.5, 5.5]]
    assert more['a.visual.0'] is inputs['a.visual.0']


@pytest.mark.parametrize('negative', [None, dict(share=0.5)])
def test_the_loss_is_that_of_the_mixture_against_the_own_targets(negative):
    model = build(mixed_audio=dict(loss_weight=0.25), negative_audio=negative).eval()
    data = model.data_preprocessor(tiny_batch(4, 2), False)
    for sample in data['data_samples']:
        if not sample.is_labeled:
            maps = model.predict_maps(data['inputs'])['a']
            sample.pseudo_label = torch.rand(2, *maps.shape[1:])
    losses = model(**data, mode='loss')
    plain = build().eval()
    plain.load_state_dict(model.state_dict())
    waves = data['inputs']['audio'] + data['inputs']['audio'].roll(-1, 0)
    fronts = model.data_preprocessor.audio.items()
    mixed = {**data['inputs'], **{name: front(waves) for name, front in fronts}}
    mixed['audio'] = waves
    of_mixture = plain.loss(mixed, data['data_samples'])
    for name in 'ab':
        parts = (
            of_mixture[f'{name}.{key}'] for key in ('loss_supervised', 'loss_pseudo')
        )
        torch.testing.assert_close(losses[f'{name}.loss_mixed'], 0.25 * sum(parts))
    # the rest is what it was
    for key, value in plain.loss(**data).items():
        torch.testing.assert_close(losses[key], value)


def test_what_it_refuses():
    for weight in (0, -1, float('nan')):
        with pytest.raises(ValueError, match='loss_weight'):
            MixedAudio(weight)
    with pytest.raises(DataError, match=r'loss_weight must be a number'):
        MixedAudio('x')
    for value in (0.5, dict(weight=0.5)):
        with pytest.raises(DataError, match=r'model\.mixed_audio must be None or a'):
            build(mixed_audio=value)
    with pytest.raises(DataError, match=r'model\.mixed_audio.*hears nothing'):
        build(mixed_audio={}, deaf=True)
    with pytest.raises(DataError, match='a batch of one clip'):
        MixedAudio().draw({'sound': torch.zeros(2, 3)}, {}, ['u', 'u'])
