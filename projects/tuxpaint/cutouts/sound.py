"""Recordings: reading, comparison, excerpts and mixing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mmxpl.datasets.audio_io import read_sound, sound_header
from mmxpl.utils import DataError

#: Sample rate of everything that is written, in Hz.
RATE = 16000

#: A recording whose root mean square is below this holds nothing (full scale 1).
SILENCE = 0.003

#: Largest normalised cross-correlation of two recordings that are not one and the
#: same sound. Between re-encoded, cut or louder copies it is above 0.6, between
#: different recordings of the Tux Paint stamps below 0.35.
SAME = 0.5

_COMPARE_RATE = 4000
_COMPARE_SECONDS = 8
_FADE = 0.004
_MAX_GAP = 0.35


def read_recording(path: Path) -> np.ndarray:
    """Reads a sound file as mono float32 (T,) at :data:`RATE`, without its DC offset.

    Raises:
        ValueError: The file cannot be decoded, is truncated, empty or holds a NaN.
    """
    try:
        wave, (rate, _) = read_sound(str(path)), sound_header(str(path))
    except DataError as error:
        raise ValueError(f'unreadable sound ({error})') from error
    wave = wave.mean(1)
    return stretch(wave - wave.mean(), RATE / rate)


def stretch(wave: np.ndarray, factor: float) -> np.ndarray:
    """Resamples band-limited by a factor, through the Fourier transform, to float32.

    Played at the old rate the result, of at least one sample, lasts ``factor`` times as
    long and is lower by the same factor.
    """
    length = max(1, round(len(wave) * factor))
    if length == len(wave):
        return wave.astype(np.float32)
    spectrum = np.fft.rfft(wave.astype(np.float64))
    result = np.fft.irfft(spectrum[: length // 2 + 1], length)
    return (result * (length / len(wave))).astype(np.float32)


def rms(wave: np.ndarray) -> float:
    """Root mean square; 0 for nothing."""
    return (
        float(np.sqrt(np.mean(np.square(wave, dtype=np.float64)))) if len(wave) else 0.0
    )


def trim(wave: np.ndarray, floor_db: float = -40.0) -> np.ndarray:
    """Cuts the silence before and after a sound, never all of one that is not silent.

    ``floor_db`` is the level under the loudest 10 ms that counts as silence.
    """
    step = RATE // 100
    frames = np.pad(wave, (0, -len(wave) % step)).reshape(-1, step)
    level = np.sqrt(np.square(frames, dtype=np.float64).mean(1))
    loud = np.flatnonzero(level > level.max() * 10 ** (floor_db / 20))
    if not len(loud):
        return wave
    return wave[loud[0] * step : (loud[-1] + 1) * step]


def find_copies(waves: list[np.ndarray]) -> dict[int, int]:
    """Finds recordings, none silent, that repeat an earlier one.

    Cross-correlation over all delays, so that cut, louder and re-encoded copies
    are found too.

    Returns:
        dict[int, int]: Index of a copy -> index of the first of its likes.
    """
    length = _COMPARE_RATE * _COMPARE_SECONDS
    spectra, copies = [], {}
    for i, wave in enumerate(waves):
        low = stretch(wave, _COMPARE_RATE / RATE)[:length]
        low = low / max(np.linalg.norm(low), 1e-9)
        spectrum = np.fft.rfft(low, 2 * length).astype(np.complex64)
        spectra.append(spectrum)
        for j in range(i):
            if j in copies:
                continue
            product = np.fft.irfft(spectrum * spectra[j].conj(), 2 * length)
            if np.abs(product).max() > SAME:
                copies[i] = j
                break
    return copies


def excerpt(wave: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    """Cuts a window from a long recording or repeats a short one with pauses."""
    if len(wave) >= length:
        starts = rng.integers(0, len(wave) - length + 1, 8)
        levels = [rms(wave[s : s + length]) for s in starts]
        # The first that is not mostly a pause between two calls.
        start = next(
            s for s, v in zip(starts, levels, strict=True) if v >= max(levels) / 2
        )
        return wave[start : start + length].astype(np.float32)
    fade = min(int(_FADE * RATE), len(wave) // 2)
    window = np.ones(len(wave), np.float32)
    if fade:
        window[:fade] = np.linspace(0, 1, fade, endpoint=False)
        window[-fade:] = window[:fade][::-1]
    once = wave * window
    out = np.zeros(length, np.float32)
    gap = int(rng.uniform(0, _MAX_GAP) * RATE)
    at = -int(rng.integers(0, len(once)))
    while at < length:
        piece = once[max(0, -at) : length - at]
        out[max(0, at) : max(0, at) + len(piece)] += piece
        at += len(once) + gap
    return out


def mix(
    sources: list[np.ndarray], length: int, rng: np.random.Generator
) -> tuple[np.ndarray, list[float]]:
    """Plays recordings at once, with jitter of speed, level and a low noise.

    Returns:
        tuple[np.ndarray, list[float]]: float32 of shape (length,) within [-1, 1],
        and the level of each source in dB of full scale before the limiter.
    """
    base = rng.uniform(-28, -16)
    levels = [base] + [base + rng.uniform(-4, 4) for _ in sources[1:]]
    out = np.zeros(length, np.float64)
    for wave, level in zip(sources, levels, strict=True):
        part = excerpt(stretch(wave, 2 ** rng.uniform(-0.1, 0.1)), length, rng)
        out += part * (10 ** (level / 20) / max(rms(part), 1e-6))
    out += _noise(length, rng) * 10 ** ((base - rng.uniform(20, 35)) / 20)
    return _limit(out), levels


def add_background(
    audio: np.ndarray, wave: np.ndarray, level: float, rng: np.random.Generator
) -> np.ndarray:
    """Adds a recording ``level`` dB above the RMS of a float32 sound (T,).

    Silence stays silent.
    """
    part = excerpt(wave, len(audio), rng)
    out = audio + part * (rms(audio) * 10 ** (level / 20) / max(rms(part), 1e-6))
    return _limit(out)


def _limit(wave: np.ndarray) -> np.ndarray:
    """Lowers a sound that exceeds [-0.98, 0.98] to that range, as float32."""
    return (wave * (0.98 / max(np.abs(wave).max(), 0.98))).astype(np.float32)


def _noise(length: int, rng: np.random.Generator) -> np.ndarray:
    """Noise between white and brown, as of rooms and microphones, of RMS 1."""
    spectrum = np.fft.rfft(rng.standard_normal(length))
    spectrum /= np.maximum(np.arange(len(spectrum)), 20) ** rng.uniform(0, 1)
    spectrum[0] = 0
    wave = np.fft.irfft(spectrum, length)
    return wave / rms(wave)
