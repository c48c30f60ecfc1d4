import numpy as np
import pytest
from cutouts import sound

from tests.test_projects.test_tuxpaint.small_package import tone


@pytest.mark.parametrize('factor', [16000 / 44100, 16000 / 8000, 1.07, 0.93])
def test_stretch_keeps_amplitude_and_moves_pitch(factor):
    wave = tone(500, 1.0, 16000)
    out = sound.stretch(wave, factor)
    assert len(out) == round(len(wave) * factor)
    expected = tone(500 / factor, factor, 16000)[: len(out)]
    middle = slice(len(out) // 4, len(out) // 2)
    np.testing.assert_allclose(out[middle], expected[middle], atol=0.02)


def test_copies_are_found_by_what_is_heard():
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 24000))
    first, second = (np.convolve(w, np.ones(8) / 8) for w in (first, second))
    shifted = np.concatenate([np.zeros(3000), 0.05 * first[2000:20000]])
    waves = [second, first, tone(300, rate=16000), shifted, -second, first]
    assert sound.find_copies(waves) == {3: 1, 4: 0, 5: 1}


@pytest.mark.parametrize('seconds', [0.1, 0.9, 1.0, 2.5])
def test_excerpt(seconds):
    wave = tone(440, seconds, 16000)
    out = sound.excerpt(wave, 16000, np.random.default_rng(3))
    assert out.shape == (16000,)
    assert sound.rms(out) > 0.2
    if seconds >= 1:
        places = range(len(wave) - 16000 + 1)
        assert any(np.array_equal(wave[at : at + 16000], out) for at in places)


def test_excerpt_avoids_pauses():
    wave = np.concatenate([tone(440, 0.5, 16000), np.zeros(160000, np.float32)])
    wave[-8000:] = tone(440, 0.5, 16000)
    drawn = [sound.excerpt(wave, 24000, np.random.default_rng(i)) for i in range(60)]
    every = [wave[at : at + 24000] for at in range(0, len(wave) - 24000, 1000)]
    loud, chance = (np.mean([sound.rms(w) > 0.05 for w in ws]) for ws in (drawn, every))
    assert loud > 2 * chance > 0


def test_background_of_silence_is_silent():
    rng, wave = np.random.default_rng(0), np.ones(8000, np.float32)
    with np.errstate(all='raise'):
        assert not sound.add_background(np.zeros(16000, np.float32), wave, 6, rng).any()
        loud = sound.add_background(np.full(16000, 0.7, np.float32), wave, 6, rng)
    assert np.abs(loud).max() == np.float32(0.98)
