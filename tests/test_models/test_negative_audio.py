import pytest
import torch
import torch.nn.functional as F

from mmxpl.models import NegativeAudio
from mmxpl.registry import MODELS
from mmxpl.testing import tiny_batch, tiny_model_cfg
from mmxpl.utils.errors import DataError


def build(**negative_audio):
    torch.manual_seed(0)
    return MODELS.build(tiny_model_cfg(negative_audio=negative_audio or None))


def inputs_of(model, num=4):
    return model.data_preprocessor(tiny_batch(num, 0), False)['inputs']


def test_a_share_of_the_frames_meets_each_kind_in_turn():
    model = build()
    inputs = inputs_of(model, 8)
    negative = NegativeAudio(0.5, ['silence', 'shuffled', 'noise'])
    torch.manual_seed(1)
    ids = list('abcdefgh')
    more, frames, sounds = negative.draw(inputs, model.data_preprocessor.audio, ids)
    assert len(set(frames.tolist())) == len(frames) == 4
    # two silences and a noise after the eight sounds, and the next clip's
    assert sounds.tolist() == [8, (frames[1] + 1) % 8, 9, 10]
    made = more['audio'][8:]
    assert not made[[0, 2]].any()
    assert made[1].std() == pytest.approx(1, abs=0.1)
    assert torch.equal(more['audio'][:8], inputs['audio'])
    for name, front_end in model.data_preprocessor.audio.items():
        assert torch.equal(more[name][:8], inputs[name])
        torch.testing.assert_close(more[name][8:], front_end(made))
    # another draw, other frames
    assert negative.draw(inputs, {}, ids)[1].tolist() != frames.tolist()


def test_a_clip_that_occurs_twice_does_not_get_its_own_sound():
    _, frames, sounds = NegativeAudio(1.0, ['shuffled']).draw(
        {'a.sound': torch.zeros(4, 5)}, {}, ['u', 'v', 'v', 'u']
    )
    pairs = zip(frames.tolist(), sounds.tolist(), strict=True)
    assert sorted(pairs) == [(0, 1), (1, 3), (2, 3), (3, 1)]


def test_the_loss_is_the_cross_entropy_with_an_empty_map():
    model = build(share=1.0, kinds=['shuffled'])
    model.eval()
    batch = tiny_batch()
    data = model.data_preprocessor(batch, False)
    losses = model(**data, mode='loss')
    rolled = {k: v.roll(-1, 0) for k, v in data['inputs'].items() if k != 'img'}
    maps = model.predict_maps({**data['inputs'], **rolled})
    for name in 'ab':
        expected = F.binary_cross_entropy(maps[name], torch.zeros_like(maps[name]))
        torch.testing.assert_close(losses[f'{name}.loss_negative'], expected)
    # the pairs of the batch are what they were
    plain = build()
    plain.load_state_dict(model.state_dict())
    without = plain.eval()(**data, mode='loss')
    for key, value in without.items():
        torch.testing.assert_close(losses[key], value)


def test_learning_empties_maps_of_negative_sounds_alone():
    model = build(share=1.0, kinds=['silence', 'noise'])
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    data = model.data_preprocessor(tiny_batch(6, 0), False)
    silent = dict(data['inputs'])
    wave = torch.zeros_like(silent['audio'])
    fronts = model.data_preprocessor.audio.items()
    silent.update({name: front_end(wave) for name, front_end in fronts}, audio=wave)

    def areas():
        model.eval()
        with torch.no_grad():
            return [model.predict_maps(x)['a'].mean() for x in (data['inputs'], silent)]

    before = areas()
    model.train()
    for _ in range(60):
        optimizer.zero_grad()
        losses = model(**data, mode='loss')
        (losses['a.loss_supervised'] + losses['a.loss_negative']).backward()
        optimizer.step()
    own, none = areas()
    assert none < 0.5 * before[1]
    assert own > 2 * none


def test_what_it_refuses():
    for share in (0, 1.5, float('nan'), 'a', None, True):
        with pytest.raises(DataError, match=r'share must be in \(0, 1\]'):
            NegativeAudio(share)
    for value in (0.2, {}, dict(kinds=['noise'])):
        with pytest.raises(
            DataError, match=r'a dict with model\.negative_audio\.share'
        ):
            MODELS.build(tiny_model_cfg(negative_audio=value))
    for kinds in ([], ['offscreen'], 'noise', [['noise']], None):
        with pytest.raises(DataError, match='kinds are some of'):
            NegativeAudio(0.2, kinds)
    with pytest.raises(DataError, match='hears nothing'):
        MODELS.build(tiny_model_cfg(negative_audio=dict(share=0.2), deaf=True))
    with pytest.raises(DataError, match='a batch of one clip'):
        NegativeAudio(0.2, ['shuffled']).draw(inputs_of(build(), 2), {}, ['u', 'u'])
    with pytest.raises(DataError, match=r"kinds=\['shuffled'\]"):
        NegativeAudio(0.2, ['silence']).draw({'a.sound': torch.zeros(1, 5)}, {}, 'u')
