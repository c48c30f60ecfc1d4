import itertools

import numpy as np
import pytest

from mmxpl.datasets.synthetic import CLASSES, clip_layout, preset
from mmxpl.datasets.synthetic import sound as sound_module
from mmxpl.datasets.synthetic.config import COLOURS, SHAPES, TEXTURES


def test_voices_come_in_threes_of_a_kind():
    kinds = [v.kind for v in sound_module.VOICES]
    assert all(len(set(kinds[i : i + 3])) == 1 for i in range(0, len(kinds), 3))
    assert len(set(kinds)) == len(kinds) // 3


def test_every_voice_is_audible_finite_and_varied():
    for voice in sound_module.VOICES:
        one, two = (
            sound_module.make_sound(voice, 8000, 8000, np.random.default_rng(seed))
            for seed in range(2)
        )
        assert np.isfinite(one).all()
        assert np.sqrt(np.mean(one**2)) == pytest.approx(1)
        correlation = np.mean(one * two)
        assert abs(correlation) < 0.9


def test_sounds_tell_their_classes():
    """Nearest neighbour on mean spectra: far above chance, far from perfect."""
    config = preset('default', size=48, duration=2.0)
    features, labels = [], []
    for voice_index, voice in enumerate(sound_module.VOICES):
        for seed in range(4):
            rng = np.random.default_rng([voice_index, seed])
            wave = sound_module.make_sound(voice, 32000, 16000, rng, config.jitter)
            frames = wave[: 62 * 512].reshape(62, 512) * np.hanning(512)
            power = np.abs(np.fft.rfft(frames)).astype(float)[:, 1:] ** 2
            edges = np.unique(np.geomspace(1, 256, 30).astype(int))
            bands = np.add.reduceat(power, edges[:-1] - 1, axis=1)
            features.append(np.log(bands + 1e-2).mean(0))
            labels.append(voice_index)
    features, labels = np.array(features), np.array(labels)
    distance = np.linalg.norm(features[:, None] - features[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    accuracy = np.mean(labels[distance.argmin(1)] == labels)
    assert 0.35 < accuracy < 0.98


def test_a_recording_is_of_what_sounds():
    config = preset('default', duration=1.0, snr=60.0, offscreen=1.0)
    layout = clip_layout(config, 'train', 0)
    assert layout.offscreen is not None
    wave = sound_module.record(layout, config, np.random.default_rng(0))
    assert wave.dtype == np.int16
    assert wave.shape == (16000,)
    assert 300 < np.abs(wave.astype(int)).max() < 32767
    again = sound_module.record(layout, config, np.random.default_rng(0))
    np.testing.assert_array_equal(wave, again)
    silent = sound_module.record(
        type(layout)(layout.objects), config, np.random.default_rng(0)
    )
    assert np.abs(np.corrcoef(wave, silent)[0, 1]) < 0.3


def test_matched_sounds_follow_the_looks():
    voices = {c: sound_module._voice(i, True) for i, c in enumerate(CLASSES)}
    # without it, classes of one look have sounds of different kinds
    own = {c: sound_module._voice(i, False) for i, c in enumerate(CLASSES)}
    for key, part in (('shape', 'kind'), ('colour', None), ('texture', None)):
        for one, other in itertools.combinations(CLASSES, 2):
            if getattr(one, key) == getattr(other, key):
                assert own[one].kind != own[other].kind
                assert part is None or voices[one].kind == voices[other].kind
    for shape in SHAPES:
        same = [c for c in CLASSES if c.shape == shape]
        by_pitch = sorted(same, key=lambda c: voices[c].pitch)
        assert by_pitch == sorted(same, key=lambda c: list(COLOURS).index(c.colour))
        by_tempo = sorted(same, key=lambda c: voices[c].rate)
        assert by_tempo == sorted(same, key=lambda c: TEXTURES.index(c.texture))
