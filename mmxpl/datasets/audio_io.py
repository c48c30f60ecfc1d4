"""Reads an excerpt of one sound."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache
from typing import BinaryIO

import numpy as np
import soundfile
import torch
from torch import nn

from mmxpl.compat import torchaudio_transforms
from mmxpl.utils import DataError

# sizes that writers to a pipe leave in the header, since they cannot go back
_UNKNOWN_SIZE = 0x7FFFF000
# rates beyond these (Hz) are damaged headers, and would cost gigabytes
_RATES = (1_000, 768_000)
# finest ratio of rates; holds all usual ones exactly (11025 to 16000 is 441/640)
_MAX_DENOMINATOR = 640


def read_waveform(
    path: str, sample_rate: int, duration: float, offset: str | float = 'center'
) -> np.ndarray:
    """Reads an excerpt, mixes it to mono and brings it to a sample rate.

    Only the excerpt is read. A sound shorter than it is repeated to fill it.

    Args:
        path (str): file of any format that libsndfile reads.
        sample_rate (int): samples per second of the result.
        duration (float): seconds.
        offset (str | float): start in seconds, or 'center'; an excerpt that
            would reach beyond the end begins earlier. Defaults to 'center'.

    Returns:
        np.ndarray: float32 waveform of shape (round(sample_rate * duration),)
        in [-1, 1].

    Raises:
        DataError: If the file is missing, empty, truncated or no sound, if it
            holds values that are not finite, or if its rate makes no sense.
    """
    with _open_sound(path) as sound:
        rate, total = sound.samplerate, sound.frames
        wanted = max(round(duration * rate), 1)
        sound.seek(_start(total, wanted, rate, offset))
        wave = _read_finite(path, sound, wanted)
    return _to_waveform(wave, rate, wanted, sample_rate, duration)


def excerpt_waveform(
    wave: np.ndarray,
    rate: int,
    sample_rate: int,
    duration: float,
    offset: str | float = 'center',
) -> np.ndarray:
    """Takes from samples in memory what :func:`read_waveform` takes from a file.

    Args:
        wave (np.ndarray): float32 of shape (samples, channels), at least one
            sample, finite, nominally in [-1, 1].
        rate (int): its samples per second.
        sample_rate (int): samples per second of the result.
        duration (float): seconds.
        offset (str | float): see :func:`read_waveform`. Defaults to 'center'.

    Returns:
        np.ndarray: float32 waveform of shape (round(sample_rate * duration),)
        in [-1, 1].
    """
    wanted = max(round(duration * rate), 1)
    start = _start(len(wave), wanted, rate, offset)
    part = wave[start : start + wanted]
    return _to_waveform(part, rate, wanted, sample_rate, duration)


def _start(total: int, wanted: int, rate: int, offset: str | float) -> int:
    """First sample of an excerpt of a sound of ``total`` samples."""
    if offset == 'center':
        return max((total - wanted) // 2, 0)
    return max(min(round(offset * rate), total - wanted), 0)


def _to_waveform(
    wave: np.ndarray, rate: int, wanted: int, sample_rate: int, duration: float
) -> np.ndarray:
    """Mixes an excerpt (samples, channels) to mono, fills and resamples it."""
    mono = wave[:, 0] if wave.shape[1] == 1 else wave.mean(axis=1)
    if len(mono) < wanted:
        mono = np.resize(mono, wanted)  # repeats
    if rate != sample_rate:
        mono = _resampler(rate, sample_rate)(torch.from_numpy(mono)).numpy()
    # the rate conversion rounds the length up
    mono = np.resize(mono, round(sample_rate * duration))
    return np.clip(mono, -1.0, 1.0, out=mono)


def sound_header(path: str) -> tuple[int, float]:
    """Reads how a sound is stored, without decoding it.

    Args:
        path (str): file of any format that libsndfile reads.

    Returns:
        tuple[int, float]: Sample rate in Hz and duration in seconds.

    Raises:
        DataError: If the file is missing, empty, truncated or no sound, or if
            its rate makes no sense.
    """
    with _open_sound(path) as sound:
        if not sound.frames:
            raise _error(path, 'holds no samples')
        return sound.samplerate, sound.frames / sound.samplerate


def read_sound(path: str) -> np.ndarray:
    """Decodes a whole sound as it is stored.

    Args:
        path (str): file of any format that libsndfile reads.

    Returns:
        np.ndarray: float32 of shape (samples, channels), nominally in [-1, 1].

    Raises:
        DataError: As :func:`read_waveform`.
    """
    with _open_sound(path) as sound:
        return _read_finite(path, sound, -1)


@contextmanager
def _open_sound(path: str) -> Iterator[soundfile.SoundFile]:
    """Opens a sound; what goes wrong meanwhile is said with the file's name."""
    try:
        with open(path, 'rb') as file:
            complete = _is_complete_wav(file)
        with soundfile.SoundFile(path) as sound:
            if not _RATES[0] <= sound.samplerate <= _RATES[1]:
                raise _error(path, f'has a sample rate of {sound.samplerate} Hz')
            if not complete:
                raise _error(path, 'is truncated: it is shorter than its header says')
            yield sound
    except OSError as error:
        raise _error(path, f'cannot be read ({error.strerror})') from error
    except soundfile.SoundFileError as error:
        raise _error(path, f'is empty, corrupt or not a sound ({error})') from error


def _read_finite(path: str, sound: soundfile.SoundFile, count: int) -> np.ndarray:
    """Reads samples from where the sound stands; -1 for all."""
    wave = sound.read(count, dtype='float32', always_2d=True)
    if not len(wave):
        raise _error(path, 'holds no samples')
    if not np.isfinite(wave).all():
        raise _error(path, 'holds values that are not finite')
    return wave


def _error(path: str, what: str) -> DataError:
    """Makes the message about a bad sound."""
    return DataError(
        f'{path}: the sound {what}. Restore the file or take its id out of the list.'
    )


@lru_cache(maxsize=32)
def _resampler(source: int, target: int) -> nn.Module:
    """Resampling filter; building it costs as much as using it.

    The filter holds one kernel per output phase, hundreds of megabytes for
    rates such as 22254 and 16000 Hz. Their ratio is therefore approximated, to
    better than one part in a thousand: a sixtieth of a semitone.
    """
    ratio = Fraction(source, target).limit_denominator(_MAX_DENOMINATOR)
    return torchaudio_transforms().Resample(ratio.numerator, ratio.denominator)


def _is_complete_wav(file: BinaryIO) -> bool:
    """Tells whether a WAV file is as long as its header says.

    libsndfile reads a truncated file without complaint as a shorter one. Other
    formats are left to it.

    Args:
        file (BinaryIO): the file, at its start.

    Returns:
        bool: False if samples are missing at the end.
    """
    head = file.read(12)
    if head[:4] != b'RIFF' or head[8:12] != b'WAVE':
        return True
    while len(chunk := file.read(8)) == 8:
        size = int.from_bytes(chunk[4:], 'little')
        if chunk[:4] == b'data':
            begin = file.tell()
            return size >= _UNKNOWN_SIZE or begin + size <= file.seek(0, 2)
        file.seek(size + size % 2, 1)
    return True  # no data chunk: libsndfile says so
