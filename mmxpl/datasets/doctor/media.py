"""Opens every frame and every sound."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from mmxpl.utils import DataError
from mmxpl.utils.parallel import map_in_threads

from ..audio_io import read_sound, sound_header
from ..image_io import decode_frame

# below this peak (-60 dB of full scale) a sound counts as silent
SILENT_PEAK = 1e-3
# below this share of the loudest channel (-20 dB) the mix of all has lost the sound
CANCELLED = 0.1
# upper edges of the histogram of durations, in seconds
DURATIONS = (1, 3, 5, 9.5, 10.5, 30, 60)


class SoundFacts(NamedTuple):
    """What is known of a sound.

    Args:
        rate (int): samples per second.
        duration (float): seconds.
        peak (float, optional): greatest absolute value; None if not decoded.
        cancels (bool): whether its channels are of opposite phase, so that hardly
            anything is left where they are mixed to one.
        digest (str, optional): fingerprint of the samples; None likewise.
    """

    rate: int
    duration: float
    peak: float | None = None
    cancels: bool = False
    digest: str | None = None


def check_media(
    media: Mapping[str, tuple[str, str]],
    deep: bool = False,
    workers: int = 1,
    advance: Callable[[], None] = lambda: None,
    times: Mapping[str, float] | None = None,
) -> dict:
    """Opens the files of all clips.

    Without ``deep`` only the headers of sounds are read. With it every file is
    decoded to its end, and files with the same content are found, whatever
    their names.

    Args:
        media (Mapping[str, tuple[str, str]]): paths of frame and sound by id.
        deep (bool): whether to decode. Defaults to False.
        workers (int): threads; decoding does not hold the interpreter's lock.
            Defaults to 1.
        advance (Callable): called after each file.
        times (Mapping[str, float], optional): when frames are shown, in seconds from
            the first sample, by id.

    Returns:
        dict: ``unreadable``, reasons by id; ``rates`` and ``durations``, numbers
        of sounds by Hz and by range of seconds; ``unheard``, ids of frames that are
        shown before or after their sound; and with ``deep``, ``silent`` and
        ``cancelling`` (channels of opposite phase), ids, and ``same_frame`` and
        ``same_sound``, lists of ids that share one content (silent sounds apart).
    """
    frames, sounds = defaultdict(list), defaultdict(list)
    for sample_id, (frame, sound) in media.items():
        frames[frame].append(sample_id)
        sounds[sound].append(sample_id)

    def look(job: tuple[str, bool]) -> tuple[str, bool, object]:
        path, is_sound = job
        try:
            if is_sound:
                return path, is_sound, _hear(path, deep)
            return path, is_sound, _see(path)
        except DataError as error:
            return path, is_sound, error

    jobs = [(path, True) for path in sounds]
    if deep:
        jobs += [(path, False) for path in frames]
    unreadable: dict[str, str] = {}
    heard: dict[str, SoundFacts] = {}
    seen: dict[str, str] = {}
    for path, is_sound, fact in map_in_threads(look, jobs, workers):
        advance()
        if isinstance(fact, DataError):
            for sample_id in (sounds if is_sound else frames)[path]:
                unreadable.setdefault(sample_id, str(fact))
        elif is_sound:
            heard[path] = fact
        else:
            seen[path] = fact
    result = dict(
        count=len(media),
        unreadable=unreadable,
        rates=dict(sorted(Counter(f.rate for f in heard.values()).items())),
        durations=_histogram(f.duration for f in heard.values()),
        unheard=[
            sample_id
            for sample_id, time in (times or {}).items()
            if sample_id in media
            and (fact := heard.get(media[sample_id][1])) is not None
            and not 0 <= time <= fact.duration
        ],
    )
    if deep:
        loud = {p: f for p, f in heard.items() if f.peak >= SILENT_PEAK}
        result.update(
            silent=sorted(i for p in heard.keys() - loud.keys() for i in sounds[p]),
            cancelling=sorted(
                i for p, f in loud.items() if f.cancels for i in sounds[p]
            ),
            same_frame=_groups(seen, frames),
            same_sound=_groups({p: f.digest for p, f in loud.items()}, sounds),
        )
    return result


def _hear(path: str, deep: bool) -> SoundFacts:
    """Reads the header of a sound, or all of it."""
    rate, duration = sound_header(path)
    if not deep:
        return SoundFacts(rate, duration)
    wave = read_sound(path)
    peak, powers = float(np.abs(wave).max()), np.square(wave).mean(axis=0)
    mixed = float(np.square(wave.mean(axis=1)).mean())
    cancels = mixed < CANCELLED**2 * float(powers.max())
    return SoundFacts(rate, duration, peak, cancels, _digest(wave))


def _see(path: str) -> str:
    """Fingerprint of the pixels of a frame."""
    return _digest(decode_frame(path))


def _digest(values: np.ndarray) -> str:
    """Fingerprint of shape and content."""
    content = hashlib.blake2b(repr(values.shape).encode(), digest_size=16)
    content.update(np.ascontiguousarray(values))
    return content.hexdigest()


def _groups(
    digests: Mapping[str, str], ids: Mapping[str, list[str]]
) -> list[list[str]]:
    """Ids of different files that have one content; a file's own ids count once."""
    paths = defaultdict(list)
    for path, digest in digests.items():
        paths[digest].append(path)
    return sorted(
        sorted(ids[path][0] for path in group)
        for group in paths.values()
        if len(group) > 1
    )


def _histogram(durations: Iterable[float]) -> dict[str, int]:
    """Counts durations by range; ranges that nothing falls into are left out."""
    edges = (0, *DURATIONS)
    names = [f'{a:g}-{b:g} s' for a, b in zip(edges, DURATIONS, strict=False)]
    names.append(f'over {DURATIONS[-1]:g} s')
    places = Counter(int(np.searchsorted(DURATIONS, value)) for value in durations)
    return {names[place]: places[place] for place in sorted(places)}
