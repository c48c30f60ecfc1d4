"""Reading of sounds, of any format that libsndfile reads, and of excerpts of them.

A file that is missing, empty, truncated or no sound, that has an implausible sample
rate, or that holds values which are not finite or far outside of [-1, 1], is a
DataError that names it.
"""

import io
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache, reduce
from typing import BinaryIO

import numpy as np
import soundfile
import torch
from torch import Tensor, nn
from torch.nn import functional

from mmxpl.compat import torchaudio_transforms
from mmxpl.utils import DataError

from .media import REMEDY, check_regular
from .truncation import (
    Shortfall,
    flac_facts,
    is_variable_mp3,
    sound_shortfall,
    with_flac_length,
)

# length that libsndfile gives a sound whose header names none
_UNKNOWN_LENGTH = 2**63 - 1
# seconds that may be missing at the end: the length of an MP3 may be an estimate
_SLACK = 0.1
# rates beyond these (Hz) are damaged headers, and would cost gigabytes
_RATES = (1_000, 768_000)
# largest denominator of the ratio of rates; exact for all usual ones (11025 to 16000 Hz
# is 441/640)
_MAX_DENOMINATOR = 640
# peaks above it (18 dB over full scale) are of another scale, such as that of int16
_MAX_PEAK = 8


def read_waveform(
    path: str,
    sample_rate: int,
    duration: float,
    offset: str | float = 'center',
    frame_time: float | None = None,
) -> np.ndarray:
    """Reads an excerpt, mixes it to mono and resamples it.

    Only the excerpt is decoded. If it is a window around a frame, its parts that are
    not stored are silence; otherwise a shorter sound is repeated to fill it.

    Args:
        path (str): File of any format that libsndfile reads.
        sample_rate (int): Samples per second of the result.
        duration (float): Length in seconds.
        offset (str | float): Start in seconds, or 'center' for a window around
            ``frame_time`` or else in the middle of the sound. An excerpt that would
            reach beyond the end begins earlier, unless it is around a frame.
        frame_time (float, optional): Time of the frame in seconds from the first
            sample; may lie outside the sound.

    Returns:
        np.ndarray: float32 (round(sample_rate * duration),) in [-1, 1].
    """
    with _open_sound(path) as sound:
        rate, total = sound.samplerate, sound.frames
        wanted = max(round(duration * rate), 1)
        if offset != 'center' or frame_time is None:
            start = _start(total, wanted, rate, offset)
            mono = _mix(_read_finite(path, sound, start, min(wanted, total - start)))
        else:
            place = nearest_sample(frame_time, rate) - wanted // 2
            start, end = max(place, 0), min(place + wanted, total)
            mono = np.zeros(wanted, np.float32)
            if start < end:
                part = _mix(_read_finite(path, sound, start, end - start))
                mono[start - place : start - place + len(part)] = part
    return _to_waveform(mono, rate, wanted, sample_rate, duration)


def nearest_sample(time: float, rate: int) -> int:
    """Finds the sample that is heard at a time; sample 0 is heard at 0 s.

    Halves are rounded up, so that the result does not depend on the origin.
    """
    return math.floor(time * rate + 0.5)


def excerpt_waveform(
    wave: np.ndarray,
    rate: int,
    sample_rate: int,
    duration: float,
    offset: str | float = 'center',
) -> np.ndarray:
    """Takes an excerpt of samples in memory like :func:`read_waveform` of a file.

    ``wave`` is float32 of shape (samples, channels), not empty, finite, nominally in
    [-1, 1], and has ``rate`` samples a second.
    """
    wanted = max(round(duration * rate), 1)
    start = _start(len(wave), wanted, rate, offset)
    part = wave[start : start + wanted]
    return _to_waveform(_mix(part), rate, wanted, sample_rate, duration)


def _start(total: int, wanted: int, rate: int, offset: str | float) -> int:
    """First sample of an excerpt of a sound of ``total`` samples."""
    if offset == 'center':
        return max((total - wanted) // 2, 0)
    return max(min(round(offset * rate), total - wanted), 0)


def _mix(wave: np.ndarray) -> np.ndarray:
    """Mixes (samples, channels), float32 or int16, to float32 (samples,)."""
    scale = wave.shape[1] * (32768 if wave.dtype == np.int16 else 1)
    # ten times as fast as the mean over a short axis, and equal to the bit
    return reduce(np.add, wave.astype(np.float32, copy=False).T) / scale


def _to_waveform(
    mono: np.ndarray, rate: int, wanted: int, sample_rate: int, duration: float
) -> np.ndarray:
    """Fills and resamples an excerpt."""
    if len(mono) < wanted:
        mono = np.resize(mono, wanted)  # repeats
    if rate != sample_rate:
        mono = _resampler(rate, sample_rate)(torch.from_numpy(mono)).numpy()
    length = round(sample_rate * duration)
    # the rate conversion rounds the length up
    mono = mono[:length] if len(mono) >= length else np.resize(mono, length)
    return np.clip(mono, -1.0, 1.0)  # a copy, because it may share memory


def sound_header(path: str) -> tuple[int, float]:
    """Reads sample rate in Hz and duration in seconds of a sound, no sample."""
    with _open_sound(path) as sound:
        if not sound.frames:
            raise _error(path, 'holds no samples')
        return sound.samplerate, sound.frames / sound.samplerate


def read_sound(path: str) -> np.ndarray:
    """Decodes a whole sound without mixing or resampling.

    Returns:
        np.ndarray: float32 of shape (samples, channels), nominally in [-1, 1].
    """
    with _open_sound(path) as sound:
        return _read_finite(path, sound, 0, sound.frames, 'float32')


@contextmanager
def _open_sound(path: str) -> Iterator[soundfile.SoundFile]:
    """Opens a sound and turns errors while it is open into a DataError."""
    try:
        check_regular(path, 'sound')
        with open(path, 'rb') as file:
            _refuse_shortfall(path, file)
        with soundfile.SoundFile(path) as sound:
            if not _RATES[0] <= sound.samplerate <= _RATES[1]:
                raise _error(path, f'has a sample rate of {sound.samplerate} Hz')
            if sound.frames < _UNKNOWN_LENGTH:
                _check_last(path, sound)
                yield sound
                return
        with _open_endless(path) as sound:
            _check_last(path, sound)
            yield sound
    except OSError as error:
        raise _error(path, f'cannot be read ({error.strerror})') from error
    except soundfile.SoundFileError as error:
        raise _error(path, f'is empty, corrupt or not a sound ({error})') from error


def _refuse_shortfall(path: str, file: BinaryIO) -> None:
    """Refuses a sound that is shorter than its header says, or of unknown length."""
    short = sound_shortfall(file)
    if short is not None:
        raise _error(path, f'is truncated: {short}')
    if is_variable_mp3(file):
        raise _error(
            path,
            'is an MP3 of variable rate that does not name its length, which would be '
            'guessed wrong (ffmpeg -i OLD -c copy NEW.mp3 writes it)',
        )


def _open_endless(path: str) -> soundfile.SoundFile:
    """Opens a FLAC whose header names no length, as written to a pipe.

    libsndfile cannot read such files to their end.
    """
    with open(path, 'rb') as file:
        facts = flac_facts(file) if file.read(4) == b'fLaC' else None
        if facts is None:
            raise _error(path, 'names no length and holds none that can be found')
        file.seek(0)
        return soundfile.SoundFile(
            io.BytesIO(with_flac_length(file.read(), facts.stored))
        )


def _check_last(path: str, sound: soundfile.SoundFile) -> None:
    """Checks the last sample of a FLAC, whose block may be cut short."""
    if sound.format != 'FLAC' or not sound.frames:
        return
    try:
        sound.seek(sound.frames - 1)
        whole = len(sound.read(1)) == 1
    except soundfile.SoundFileError:
        whole = False
    if not whole:
        raise _error(
            path,
            f'is truncated: its header promises {sound.frames} samples, the last of '
            'which are not stored',
        )


def _read_finite(
    path: str,
    sound: soundfile.SoundFile,
    start: int,
    count: int,
    dtype: str | None = None,
) -> np.ndarray:
    """Reads samples that the header promises, as int16 where they are stored so."""
    sound.seek(start)
    if dtype is None:  # libsndfile takes three times as long to convert them
        dtype = 'int16' if sound.subtype == 'PCM_16' else 'float32'
    wave = sound.read(count, dtype=dtype, always_2d=True)
    rate = sound.samplerate
    if len(wave) < count - _SLACK * rate:
        short = Shortfall(sound.frames / rate, (start + len(wave)) / rate, 's')
        raise _error(path, f'is truncated: {short}')
    if not len(wave):
        raise _error(path, 'holds no samples')
    if fault := find_fault(wave):
        raise _error(path, f'holds {fault}')
    return wave


def find_fault(wave: np.ndarray) -> str | None:
    """Describes samples that are no sound: not finite, or floats of another scale."""
    if wave.dtype.kind != 'f':
        return None
    peak = float(np.abs(wave).max())
    if not math.isfinite(peak):
        return 'values that are not finite'
    if peak > _MAX_PEAK:
        return f'floats up to {peak:g}, not in [-1, 1] (divide by 32768 or so)'
    return None


def _error(path: str, what: str) -> DataError:
    return DataError(f'{path}: the sound {what}. {REMEDY}')


@lru_cache(maxsize=32)
def _resampler(source: int, target: int) -> Callable[[Tensor], Tensor]:
    """Makes a resampling filter; this takes as long as using it.

    The filter holds one kernel per output phase, hundreds of megabytes for rates such
    as 22254 and 16000 Hz. Their ratio is therefore approximated to better than one part
    in a thousand, a sixtieth of a semitone.
    """
    ratio = Fraction(source, target).limit_denominator(_MAX_DENOMINATOR)
    resample = torchaudio_transforms().Resample(ratio.numerator, ratio.denominator)
    return resample if ratio.denominator < 16 else _Polyphase(resample)


class _Polyphase:
    """Computes what torchaudio's ``Resample`` does without its zeros.

    Its kernel (P, 1, K) of P phases is zero outside of a diagonal band, of which a few
    neighbouring phases together touch a fraction.
    """

    def __init__(self, resample: nn.Module) -> None:
        kernel = resample.kernel[:, 0]
        self._step, self._width = resample.orig_freq, resample.width
        self._length = kernel.shape[1]
        self._rates = resample.new_freq, resample.orig_freq
        self._parts = []
        for rows in kernel.split(20):
            used = (rows.abs() > 1e-9).any(0).nonzero()
            first, last = int(used[0]), int(used[-1]) + 1
            self._parts.append((first, last, rows[:, first:last].T.contiguous()))

    def __call__(self, wave: Tensor) -> Tensor:
        """Resamples a waveform (T,)."""
        padded = functional.pad(wave, (self._width, self._width + self._step))
        windows = padded.unfold(0, self._length, self._step)
        parts = [windows[:, a:b] @ weights for a, b, weights in self._parts]
        new, old = self._rates
        return torch.cat(parts, 1).flatten()[: -(-new * len(wave) // old)]
