"""From a layout to a recording."""

from __future__ import annotations

import numpy as np

from . import dsp
from .classes import CLASSES
from .config import WorldConfig
from .layout import Layout
from .sounds import VOICES, make_sound


def record(layout: Layout, config: WorldConfig, rng: np.random.Generator) -> np.ndarray:
    """Mix what sounds with background noise, in a room.

    Neither size nor position of an object changes its sound.

    Args:
        layout (Layout): Whose sounding objects are heard.
        config (WorldConfig): Sample rate, duration, SNR and jitter are read.
        rng (np.random.Generator): Source of randomness.

    Returns:
        np.ndarray: int16 of shape (samples,), mono.
    """
    samples = int(round(config.duration * config.sample_rate))
    heard = [o.category for o in layout.objects if o.sounding]
    if layout.offscreen is not None:
        heard.append(layout.offscreen)
    mixture = np.zeros(samples)
    for category in heard:
        voice = VOICES[CLASSES[category].voice]
        sound = make_sound(voice, samples, config.sample_rate, rng, config.jitter)
        # Two sources differ by a few dB, and both stay audible.
        mixture += sound * 10 ** (rng.uniform(-2, 2) / 20)
    mixture = dsp.reverberate(mixture, config.sample_rate, rng)
    # Distance and microphone colour everything.
    mixture = dsp.unit(dsp.tilt(mixture, config.jitter * rng.uniform(-0.5, 0.5)))
    snr = config.snr + rng.uniform(-5, 5)
    noise = dsp.background_noise(samples, config.sample_rate, rng)
    mixture = dsp.unit(mixture + noise * 10 ** (-snr / 20))
    level = 10 ** (rng.uniform(-30, -18) / 20)
    peak = np.abs(mixture).max()
    wave = mixture * min(level, 0.98 / peak)
    return np.round(wave * 32767).astype(np.int16)
