"""Small building blocks of sound."""

from __future__ import annotations

import numpy as np


def rate_of(time: np.ndarray) -> float:
    """Sample rate in Hz of a time axis in seconds."""
    return 1 / (time[1] - time[0])


def unit(wave: np.ndarray) -> np.ndarray:
    """Scale to a root mean square of 1; silence stays silence."""
    level = np.sqrt(np.mean(wave**2))
    return wave / level if level > 1e-12 else wave


def events(
    time: np.ndarray, rate: float, sway: float, rng: np.random.Generator
) -> list[int]:
    """Sample positions of about ``rate`` events a second.

    Args:
        time (np.ndarray): Time axis in seconds.
        rate (float): Events per second.
        sway (float): Spread of the gaps, as a share of the mean gap.
        rng (np.random.Generator): Source of randomness.

    Returns:
        list[int]: Rising positions inside the axis, at least one.
    """
    duration, sr = time[-1], rate_of(time)
    positions, now = [], rng.uniform(0, min(1 / rate, 0.5 * duration))
    while now < duration:
        positions.append(int(now * sr))
        now += max(0.2, 1 + rng.normal(0, sway)) / rate
    return positions


def slow_noise(time: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
    """Random curve in [0, 1] with about ``rate`` turns a second."""
    knots = max(3, int(time[-1] * rate) + 3)
    grid = np.linspace(0, time[-1], knots)
    return np.interp(time, grid, rng.random(knots))


def band_noise(
    samples: int, sample_rate: float, centre: float, width: float, rng
) -> np.ndarray:
    """Noise in a band that is a bell curve over log-frequency.

    Args:
        samples (int): Length.
        sample_rate (float): In Hz.
        centre (float): Middle of the band, in Hz.
        width (float): Spread of the band, in natural-log units.
        rng (np.random.Generator): Source of randomness.

    Returns:
        np.ndarray: float64 of shape (samples,), of root mean square 1.
    """
    frequencies = np.fft.rfftfreq(samples, 1 / sample_rate)
    frequencies[0] = frequencies[1]
    gain = np.exp(-0.5 * (np.log(frequencies / centre) / width) ** 2)
    # Noise drawn in the frequency domain saves one transform.
    bins = rng.standard_normal((len(frequencies), 2)) @ (1, 1j)
    return unit(np.fft.irfft(bins * gain, samples))


def convolve(wave: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Linear convolution, cut to the length of ``wave``."""
    length = len(wave) + len(response)
    length += -length % 1000
    spectrum = np.fft.rfft(wave, length) * np.fft.rfft(response, length)
    return np.fft.irfft(spectrum, length)[: len(wave)]


def resonate(
    wave: np.ndarray, sample_rate: float, pitches: list[float], fade: float
) -> np.ndarray:
    """Let a wave ring a body.

    Args:
        wave (np.ndarray): Excitation of shape (samples,).
        sample_rate (float): In Hz.
        pitches (list[float]): Resonances in Hz; weaker one after the other.
        fade (float): Time constant of the ringing, in seconds.

    Returns:
        np.ndarray: float64 of shape (samples,).
    """
    time = np.arange(int(6 * fade * sample_rate)) / sample_rate
    tones = [0.6**i * np.sin(2 * np.pi * f * time) for i, f in enumerate(pitches)]
    return convolve(wave, np.exp(-time / fade) * sum(tones))


def gate(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Envelope of a sound that may start late or end early.

    At least 60 % of the axis stays on; ramps last 30 ms.
    """
    duration = time[-1]
    start = duration * rng.uniform(0, 0.2) * (rng.random() < 0.5)
    stop = duration * (1 - rng.uniform(0, 0.2) * (rng.random() < 0.5))
    rise = np.clip((time - start) / 0.03 + 1, 0, 1)
    return rise * np.clip((stop - time) / 0.03 + 1, 0, 1)


def reverberate(
    wave: np.ndarray, sample_rate: float, rng: np.random.Generator
) -> np.ndarray:
    """Add the tail of a random room."""
    fade = rng.uniform(0.03, 0.15)
    length = int(4 * fade * sample_rate)
    tail = np.exp(-np.arange(length) / (fade * sample_rate))
    tail *= rng.standard_normal(length)
    wet = unit(convolve(wave, tail)) * np.sqrt(np.mean(wave**2))
    return wave + rng.uniform(0.1, 0.6) * wet


def tilt(wave: np.ndarray, slope: float) -> np.ndarray:
    """Make a sound darker (negative slope) or brighter: gain f to the slope."""
    spectrum = np.fft.rfft(wave)
    index = np.maximum(np.arange(len(spectrum)), 1)
    return np.fft.irfft(spectrum * index**slope, len(wave))


def background_noise(
    samples: int, sample_rate: float, rng: np.random.Generator
) -> np.ndarray:
    """Noise between white and brown, of root mean square 1."""
    frequencies = np.fft.rfftfreq(samples, 1 / sample_rate)
    frequencies[0] = frequencies[1]
    bins = rng.standard_normal((len(frequencies), 2)) @ (1, 1j)
    return unit(np.fft.irfft(bins * frequencies ** -rng.uniform(0, 0.9), samples))
