"""Synthesis of sounds: signal processing, the voices of the classes, and their mix."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .config import CLASSES, COLOURS, SHAPES, TEXTURES, WorldConfig
from .layout import Layout


def _rate_of(time: np.ndarray) -> float:
    """Sample rate in Hz of a time axis in seconds."""
    return 1 / (time[1] - time[0])


def _unit(wave: np.ndarray) -> np.ndarray:
    """Scales to a root mean square of 1; silence stays silence."""
    level = np.sqrt(np.mean(wave**2))
    return wave / level if level > 1e-12 else wave


def _events(time: np.ndarray, rate: float, sway: float, rng) -> list[int]:
    """Draws sample positions of about ``rate`` events a second, at least one.

    ``sway`` is the spread of the gaps as a share of the mean gap.
    """
    duration, sr = time[-1], _rate_of(time)
    positions, now = [], rng.uniform(0, min(1 / rate, 0.5 * duration))
    while now < duration:
        positions.append(int(now * sr))
        now += max(0.2, 1 + rng.normal(0, sway)) / rate
    return positions


def _slow_noise(time: np.ndarray, rate: float, rng) -> np.ndarray:
    """Draws a curve in [0, 1] with about ``rate`` turns a second."""
    knots = max(3, int(time[-1] * rate) + 3)
    grid = np.linspace(0, time[-1], knots)
    return np.interp(time, grid, rng.random(knots))


def _shaped_noise(samples: int, sample_rate: float, rng, gain: Callable) -> np.ndarray:
    """Draws noise of root mean square 1; ``gain`` is a function of frequency in Hz."""
    frequencies = np.fft.rfftfreq(samples, 1 / sample_rate)
    frequencies[0] = frequencies[1]
    # drawn in the frequency domain, which saves one transform
    bins = rng.standard_normal(2 * len(frequencies)).view(complex)
    return _unit(np.fft.irfft(bins * gain(frequencies), samples))


def _band_noise(time: np.ndarray, centre: float, width: float, rng) -> np.ndarray:
    """Draws noise of root mean square 1 in a bell curve over log-frequency.

    The band has its middle at ``centre`` Hz and a spread of ``width`` in natural-log
    units.
    """

    def bell(f: np.ndarray) -> np.ndarray:
        return np.exp(-0.5 * (np.log(f / centre) / width) ** 2)

    return _shaped_noise(len(time), _rate_of(time), rng, bell)


def _convolve(wave: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Linear convolution, cut to the length of ``wave``."""
    length = len(wave) + len(response)
    length += -length % 1000
    spectrum = np.fft.rfft(wave, length) * np.fft.rfft(response, length)
    return np.fft.irfft(spectrum, length)[: len(wave)]


def _resonate(
    wave: np.ndarray, sample_rate: float, pitches: list[float], fade: float
) -> np.ndarray:
    """Filters a wave by a body with resonances in Hz, each weaker than the last.

    ``fade`` is the time constant of the ringing in seconds.
    """
    time = np.arange(int(6 * fade * sample_rate)) / sample_rate
    tones = [0.6**i * np.sin(2 * np.pi * f * time) for i, f in enumerate(pitches)]
    return _convolve(wave, np.exp(-time / fade) * sum(tones))


def _gate(time: np.ndarray, rng) -> np.ndarray:
    """Draws an envelope that may start late or end early, with ramps of 30 ms.

    At least 60 % of the axis stays on.
    """
    duration = time[-1]
    start = duration * rng.uniform(0, 0.2) * (rng.random() < 0.5)
    stop = duration * (1 - rng.uniform(0, 0.2) * (rng.random() < 0.5))
    rise = np.clip((time - start) / 0.03 + 1, 0, 1)
    return rise * np.clip((stop - time) / 0.03 + 1, 0, 1)


def _reverberate(wave: np.ndarray, sample_rate: float, rng) -> np.ndarray:
    """Adds the tail of a random room."""
    fade = rng.uniform(0.03, 0.15)
    length = int(4 * fade * sample_rate)
    tail = np.exp(-np.arange(length) / (fade * sample_rate))
    tail *= rng.standard_normal(length)
    wet = _unit(_convolve(wave, tail)) * np.sqrt(np.mean(wave**2))
    return wave + rng.uniform(0.1, 0.6) * wet


def _tilt(wave: np.ndarray, slope: float) -> np.ndarray:
    """Makes a sound darker (negative slope) or brighter: gain f to the slope."""
    spectrum = np.fft.rfft(wave)
    index = np.maximum(np.arange(len(spectrum)), 1)
    return np.fft.irfft(spectrum * index**slope, len(wave))


@dataclass(frozen=True)
class Voice:
    """Parameters that all sounds of one class share."""

    kind: str  # synthesis, a key of _KINDS
    pitch: float  # typical pitch or band centre, in Hz
    rate: float  # typical events per second (or of its modulation)
    colour: float  # timbre in [0, 1]; its meaning depends on the kind

    @property
    def form(self) -> int:
        """int: which of three forms of its kind the timbre chooses."""
        return int(self.colour * 2.99)


VOICES = (
    Voice('horn', 150, 0.8, 0.7),
    Voice('horn', 330, 1.6, 0.4),
    Voice('horn', 720, 0.6, 0.2),
    Voice('bell', 420, 1.2, 0.3),
    Voice('bell', 900, 2.5, 0.6),
    Voice('bell', 1700, 4.5, 0.9),
    Voice('wind', 500, 0.5, 0.5),
    Voice('wind', 1500, 1.2, 0.25),
    Voice('wind', 3800, 3.0, 0.6),
    Voice('chirp', 1300, 3.0, 0.9),
    Voice('chirp', 2300, 5.5, 0.1),
    Voice('chirp', 3200, 2.0, 0.5),
    Voice('engine', 24, 0.7, 0.3),
    Voice('engine', 55, 1.5, 0.5),
    Voice('engine', 105, 3.0, 0.8),
    Voice('siren', 650, 0.5, 0.3),
    Voice('siren', 1000, 2.2, 0.9),
    Voice('siren', 1600, 6.0, 0.5),
    Voice('rattle', 1000, 7.0, 0.3),
    Voice('rattle', 2200, 12.0, 0.6),
    Voice('rattle', 4500, 3.5, 0.9),
    Voice('talk', 110, 3.0, 0.2),
    Voice('talk', 190, 4.5, 0.6),
    Voice('talk', 290, 2.0, 0.9),
)


def _horn(voice, time, rate, rng):
    """Harmonic stack with vibrato and swells."""
    sr = _rate_of(time)
    vibrato = 1 + rng.uniform(0.003, 0.015) * np.sin(
        2 * math.pi * rng.uniform(4, 7) * time + rng.uniform(0, 6.3)
    )
    phase = 2 * math.pi * np.cumsum(voice.pitch * vibrato) / sr
    decay = 1.1 + 1.6 * (1 - voice.colour) + rng.uniform(-0.25, 0.25)
    wave = sum(
        k**-decay * rng.uniform(0.5, 1.3) * np.sin(k * phase + rng.uniform(0, 6.3))
        for k in range(1, 11)
        if k * voice.pitch * 1.02 < sr / 2
    )
    depth = rng.uniform(0.5, 0.95)
    swell = np.sin(math.pi * rate * time + rng.uniform(0, 3.1)) ** 2
    return wave * (1 - depth + depth * swell)


def _bell(voice, time, rate, rng):
    """Struck FM tones that ring out."""
    ratio = (1.41, 2.76, 3.5)[voice.form] * rng.uniform(0.98, 1.02)
    index = rng.uniform(1.5, 3.5)
    fade = rng.uniform(0.5, 1.0) / rate
    wave = np.zeros_like(time)
    for start in _events(time, rate, 0.08, rng):
        local = time[start:] - time[start]
        local = local[: int(6 * fade * _rate_of(time))]
        pitch = voice.pitch * math.exp(rng.normal(0, 0.04))
        decay = np.exp(-local / fade)
        bend = index * decay * np.sin(2 * math.pi * pitch * ratio * local)
        wave[start : start + len(local)] += (
            rng.uniform(0.6, 1) * decay * np.sin(2 * math.pi * pitch * local + bend)
        )
    return wave


def _wind(voice, time, rate, rng):
    """A band of noise that comes in gusts."""
    width = (0.15 + 0.5 * voice.colour) * rng.uniform(0.8, 1.25)
    noise = _band_noise(time, voice.pitch, width, rng)
    other = voice.pitch * rng.uniform(1.2, 1.5)
    gusts = _slow_noise(time, 2.5 * rate, rng)
    second = _band_noise(time, other, width, rng)
    return noise * (0.25 + gusts) + second * (1 - gusts) * 0.5


def _chirp(voice, time, rate, rng):
    """Short sweeps: upward, downward or both, by the timbre."""
    sr = _rate_of(time)
    wave = np.zeros_like(time)
    length = int(sr * rng.uniform(0.45, 0.7) / rate)
    span = rng.uniform(0.35, 0.6)
    bow = np.linspace(0, 1, length)
    path = (1 - bow, np.sin(math.pi * bow), bow)[voice.form]
    window = np.sin(math.pi * bow) ** 0.7
    for start in _events(time, rate, 0.12, rng):
        pitch = voice.pitch * math.exp(rng.normal(0, 0.06))
        sweep = pitch * (1 - span / 2 + span * path)
        tone = window * np.sin(2 * math.pi * np.cumsum(sweep) / sr)
        part = wave[start : start + length]
        part += tone[: len(part)] * rng.uniform(0.5, 1)
    return wave


def _engine(voice, time, rate, rng):
    """Pulses that excite a body; the speed wanders."""
    sr = _rate_of(time)
    speed = 1 + 0.2 * (_slow_noise(time, rate, rng) - 0.5)
    phase = np.cumsum(voice.pitch * speed) / sr
    pulses = np.diff(np.floor(phase), prepend=0.0) * rng.uniform(0.6, 1.2, len(time))
    body = 250 * 2 ** (2.5 * voice.colour) * rng.uniform(0.85, 1.2)
    ring = _resonate(pulses, sr, [body, body * rng.uniform(2.2, 2.9)], 0.006)
    hiss = _band_noise(time, body * 3, 0.6, rng)
    return _unit(ring) + rng.uniform(0.05, 0.25) * hiss


def _siren(voice, time, rate, rng):
    """A tone whose pitch swings: smoothly, as a saw, or between two steps."""
    swing = (rate * time + rng.random()) % 1
    smooth, steps = 0.5 - 0.5 * np.cos(2 * math.pi * swing), (swing > 0.5).astype(float)
    span = rng.uniform(0.35, 0.55)
    sweep = 1 - span / 2 + span * (smooth, swing, steps)[voice.form]
    phase = 2 * math.pi * np.cumsum(voice.pitch * sweep) / _rate_of(time)
    second, third = rng.uniform(0.1, 0.4), rng.uniform(0.0, 0.25)
    return np.sin(phase) + second * np.sin(2 * phase) + third * np.sin(3 * phase)


def _rattle(voice, time, rate, rng):
    """Bursts of filtered noise."""
    sr = _rate_of(time)
    noise = _band_noise(time, voice.pitch, rng.uniform(0.35, 0.6), rng)
    envelope = np.zeros_like(time)
    fade = (0.1 + 0.35 * voice.colour) / rate * rng.uniform(0.7, 1.3)
    shape = np.exp(-np.arange(int(5 * fade * sr)) / (fade * sr))
    for start in _events(time, rate, 0.1, rng):
        part = envelope[start : start + len(shape)]
        part += shape[: len(part)] * rng.uniform(0.4, 1)
    return noise * envelope


def _talk(voice, time, rate, rng):
    """A buzz through moving formants, cut into syllables."""
    sr = _rate_of(time)
    contour = 1 + 0.25 * (_slow_noise(time, 2.0, rng) - 0.5)
    phase = np.cumsum(voice.pitch * contour) / sr
    buzz = np.diff(np.floor(phase), prepend=0.0)
    vowels = ((310, 2200), (720, 1150), (360, 800))
    main = vowels[voice.form]
    wave = np.zeros_like(time)
    blend = _slow_noise(time, rate, rng)
    for weight, vowel in ((1 - 0.6 * blend, main), (0.6 * blend, (520, 1700))):
        formants = [f * rng.uniform(0.9, 1.12) for f in vowel]
        wave += weight * _unit(_resonate(buzz, sr, formants, 0.008))
    syllables = np.sin(math.pi * rate * time + rng.uniform(0, 3.1)) ** 2
    return wave * (0.08 + syllables) + 0.02 * rng.standard_normal(len(time))


_KINDS = dict(
    horn=_horn,
    bell=_bell,
    wind=_wind,
    chirp=_chirp,
    engine=_engine,
    siren=_siren,
    rattle=_rattle,
    talk=_talk,
)


def _voice(category: int, matched: bool) -> Voice:
    """Finds the voice of a class: its own, or the one that follows its looks."""
    look = CLASSES[category]
    if not matched:
        return VOICES[look.voice]
    kind = tuple(_KINDS)[SHAPES.index(look.shape)]
    voices = [v for v in VOICES if v.kind == kind]  # by rising pitch
    low, high = voices[0].pitch, voices[-1].pitch
    slow, *_, fast = sorted(v.rate for v in voices)
    pitch = tuple(COLOURS).index(look.colour) / (len(COLOURS) - 1)
    tempo = TEXTURES.index(look.texture) / (len(TEXTURES) - 1)
    return replace(
        voices[1], pitch=low * (high / low) ** pitch, rate=slow * (fast / slow) ** tempo
    )


def make_sound(
    voice: Voice,
    samples: int,
    sample_rate: int,
    rng: np.random.Generator,
    jitter: float = 1.0,
) -> np.ndarray:
    """Synthesizes one sound of a class, with its own pitch, tempo and timing.

    It is float64 of shape (samples,), of root mean square 1; ``jitter`` is the strength
    of the variety of pitch and tempo.
    """
    time = np.arange(samples) / sample_rate
    pitch = voice.pitch * 2 ** (jitter * rng.normal(0, 0.25))
    rate = voice.rate * 2 ** (jitter * rng.normal(0, 0.35))
    own = replace(voice, pitch=min(pitch, 0.42 * sample_rate), rate=rate)
    wave = _KINDS[voice.kind](own, time, rate, rng)
    return _unit(_unit(wave) * _gate(time, rng))


def record(layout: Layout, config: WorldConfig, rng: np.random.Generator) -> np.ndarray:
    """Mixes the sounding objects with background noise, in a room.

    The sound is int16 of shape (samples,), mono. Neither size nor position of an object
    changes it.
    """
    samples = int(round(config.duration * config.sample_rate))
    heard = [o.category for o in layout.objects if o.sounding]
    if layout.offscreen is not None:
        heard.append(layout.offscreen)
    mixture = np.zeros(samples)
    for category in heard:
        voice = _voice(category, bool(config.matched))
        sound = make_sound(voice, samples, config.sample_rate, rng, config.jitter)
        # Two sources differ by a few dB, and both stay audible.
        mixture += sound * 10 ** (rng.uniform(-2, 2) / 20)
    mixture = _reverberate(mixture, config.sample_rate, rng)
    # Distance and microphone colour everything.
    mixture = _unit(_tilt(mixture, config.jitter * rng.uniform(-0.5, 0.5)))
    snr = config.snr + rng.uniform(-5, 5)
    # between white and brown
    noise = _shaped_noise(
        samples, config.sample_rate, rng, lambda f: f ** -rng.uniform(0, 0.9)
    )
    mixture = _unit(mixture + noise * 10 ** (-snr / 20))
    level = 10 ** (rng.uniform(-30, -18) / 20)
    peak = np.abs(mixture).max()
    wave = mixture * min(level, 0.98 / peak)
    return np.round(wave * 32767).astype(np.int16)
