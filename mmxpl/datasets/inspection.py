"""Checks of the annotations, frames and sounds of a data set."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from mmxpl.utils import DataError
from mmxpl.utils.ids import name_some
from mmxpl.utils.parallel import try_in_threads

from .annotations import clip_boxes, decode_rle
from .audio_io import read_sound, sound_header
from .image_io import decode_frame, image_size, same_shape

# below this peak (-60 dB of full scale) a sound counts as silent
SILENT_PEAK = 1e-3
# below this share of the loudest channel (-20 dB) the mix of all has lost the sound
CANCELLED = 0.1
# upper edges of the histogram of durations, in seconds
DURATIONS = (1, 3, 5, 9.5, 10.5, 30, 60)


def check_annotations(
    annotations: Mapping[str, dict], evaluated: Collection[str] = ()
) -> dict:
    """Finds implausible ``bboxes`` (normalised) and ``mask`` of annotations by id.

    ``evaluated`` are ids of validation and test clips, which need an annotation.

    Returns:
        dict: ``count`` of clips, number of ``boxes``, and ids of clips with boxes that
        reach out of the frame (``out_of_range``), boxes without area within it
        (``without_area``), nothing left within the frame (``empty``), a mask that
        cannot be decoded or covers nothing (``bad_mask``), and of evaluated clips
        without annotation (``unannotated``).
    """
    kinds = ('out_of_range', 'without_area', 'empty', 'bad_mask')
    found: dict[str, list[str]] = {kind: [] for kind in kinds}
    for sample_id, annotation in annotations.items():
        kept, outside, dropped = clip_boxes(annotation.get('bboxes') or ())
        if outside:
            found['out_of_range'].append(sample_id)
        if dropped:
            found['without_area'].append(sample_id)
        mask = annotation.get('mask')
        if mask is None:
            if not kept and annotation.get('bboxes') is not None:
                found['empty'].append(sample_id)
            continue
        try:
            covered = decode_rle(mask, sample_id).any()
        except DataError:
            covered = False
        if not covered:
            found['bad_mask'].append(sample_id)
    return dict(
        count=len(annotations),
        boxes=sum(len(a.get('bboxes') or ()) for a in annotations.values()),
        **found,
        unannotated=sorted(set(evaluated) - set(annotations)),
    )


def check_shapes(
    annotations: Mapping[str, dict], frames: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Compares the proportions of the annotated images with those of the frames.

    Boxes are normalised, so an image may be a smaller or larger copy of the frame, but
    not a rotated one or one with bars. The size of the image is known from ``height``
    and ``width`` of the annotation or from its ``mask``.

    Returns:
        tuple[dict[str, str], dict[str, str]]: By id both sizes of clips whose
        proportions differ, and the reasons why other frames cannot be read.
    """
    other, unreadable = {}, {}
    for sample_id, annotation in annotations.items():
        size = (annotation.get('height'), annotation.get('width'))
        if not all(type(side) is int and side > 0 for side in size):
            size = tuple((annotation.get('mask') or {}).get('size', ()))
        if len(size) != 2 or sample_id not in frames:
            continue
        try:
            shown = image_size(frames[sample_id])
        except DataError as error:
            unreadable[sample_id] = str(error)
            continue
        if not same_shape(size, shown):
            other[sample_id] = (
                f"'{sample_id}' was annotated at {size[1]} x {size[0]}, its frame is "
                f'{shown[1]} x {shown[0]}'
            )
    return other, unreadable


class _Sound(NamedTuple):
    """Rate in Hz and seconds of a sound, and what decoding it shows."""

    rate: int
    duration: float
    peak: float | None = None
    cancels: bool = False  # hardly anything is left when channels are mixed to one
    digest: str | None = None


def check_media(
    media: Mapping[str, tuple[str, str]],
    deep: bool = False,
    workers: int = 1,
    advance: Callable[[], None] = lambda: None,
    times: Mapping[str, float] | None = None,
) -> dict:
    """Opens the files of all clips, given as paths of frame and sound by id.

    Without ``deep`` only the headers of sounds are read. With ``deep`` every file is
    decoded completely, in ``workers`` threads, and files with the same content are
    found. ``advance`` is called after each file; ``times`` are those of the frames in
    seconds from the first sample, by id.

    Returns:
        dict: ``count`` of clips; ``unreadable``, reasons by id; ``rates`` and
        ``durations``, numbers of sounds by Hz and by range of seconds; ``unheard``, ids
        whose frame is shown before or after the sound; and with ``deep`` the ids of
        ``silent`` and ``cancelling`` sounds (channels of opposite phase), and
        ``same_frame`` and ``same_sound``, lists of ids that share one content (apart
        from silent sounds).
    """
    frames, sounds = defaultdict(list), defaultdict(list)
    for sample_id, (frame, sound) in media.items():
        frames[frame].append(sample_id)
        sounds[sound].append(sample_id)

    unreadable: dict[str, str] = {}

    def read_all(files: Mapping[str, list[str]], read: Callable) -> dict:
        facts, results = {}, try_in_threads(read, files, workers)
        for (path, ids), fact in zip(files.items(), results, strict=True):
            advance()
            if isinstance(fact, DataError):
                unreadable.update({i: str(fact) for i in ids if i not in unreadable})
            else:
                facts[path] = fact
        return facts

    heard: dict[str, _Sound] = read_all(sounds, partial(_hear, deep=deep))
    lengths = {i: f.duration for p, f in heard.items() for i in sounds[p]}
    result = dict(
        count=len(media),
        unreadable=unreadable,
        rates=dict(sorted(Counter(f.rate for f in heard.values()).items())),
        durations=_histogram(f.duration for f in heard.values()),
        unheard=[
            i
            for i, time in (times or {}).items()
            if i in lengths and not 0 <= time <= lengths[i]
        ],
    )
    if deep:
        seen = read_all(frames, lambda p: _digest(decode_frame(p, strict=True)))
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


def _hear(path: str, deep: bool) -> _Sound:
    """Reads the header of a sound, or all of it."""
    rate, duration = sound_header(path)
    if not deep:
        return _Sound(rate, duration)
    wave = read_sound(path)
    peak, powers = float(np.abs(wave).max()), np.square(wave).mean(axis=0)
    mixed = float(np.square(wave.mean(axis=1)).mean())
    cancels = mixed < CANCELLED**2 * float(powers.max())
    return _Sound(rate, duration, peak, cancels, _digest(wave))


def _digest(values: np.ndarray) -> str:
    """Hashes shape and content."""
    content = hashlib.blake2b(repr(values.shape).encode(), digest_size=16)
    content.update(np.ascontiguousarray(values))
    return content.hexdigest()


def _groups(
    digests: Mapping[str, str], ids: Mapping[str, list[str]]
) -> list[list[str]]:
    """Ids of different files with the same content; one id per file."""
    groups = defaultdict(list)
    for path, digest in digests.items():
        groups[digest].append(ids[path][0])
    return sorted(sorted(group) for group in groups.values() if len(group) > 1)


def _histogram(durations: Iterable[float]) -> dict[str, int]:
    """Counts durations by range; empty ranges are left out."""
    names = [f'{a:g}-{b:g} s' for a, b in pairwise((0, *DURATIONS))]
    names.append(f'over {DURATIONS[-1]:g} s')
    places = Counter(int(np.searchsorted(DURATIONS, value)) for value in durations)
    return {names[place]: places[place] for place in sorted(places)}


def count_problems(report: Mapping) -> dict[str, int]:
    """Counts the cases of each kind of problem that occurs.

    Args:
        report (Mapping): Results of the checks, ``lists``, ``leaks``, ``annotations``,
            ``missing``, ``media`` and ``content_leaks``, each optional.
    """
    return {name: len(ids) for name, ids in _problems(report).items()}


def format_report(report: Mapping) -> str:
    """Formats a report, see :func:`count_problems`, as several lines of text."""
    lines = [
        f'{one["split"]:<6} {one["count"]:>7} clips, id hash {one["id_list_hash"]}, '
        f'{one["path"]}'
        for one in report.get('lists', ())
    ]
    if 'annotations' in report:
        facts = report['annotations']
        lines.append(f'annotations: {facts["count"]} clips, {facts["boxes"]} boxes')
    if 'media' in report:
        facts = report['media']
        lines.append(f'media: {facts["count"]} clips with frame and sound')
        rates = (f'{rate} Hz: {n}' for rate, n in facts['rates'].items())
        lines.append('  sample rates  ' + ', '.join(rates))
        lengths = (f'{name}: {n}' for name, n in facts['durations'].items())
        lines.append('  durations     ' + ', '.join(lengths))
    problems = _problems(report)
    lines.append('problems:' if problems else 'no problem found')
    for name, ids in problems.items():
        lines.append(f'  {name}: {len(ids)} ({name_some([str(i) for i in ids])})')
    return '\n'.join(lines)


def _problems(report: Mapping) -> dict[str, list]:
    """Lists the cases of every kind of problem that occurs."""
    annotations, media = report.get('annotations', {}), report.get('media', {})
    problems = {
        f'twice in {r["path"]}': r['duplicates'] for r in report.get('lists', ())
    }
    for name, leak in report.get('leaks', {}).items():
        left, right = name.split('_')
        both = 'two train lists' if left == right else f'{left} and {right}'
        problems[f'ids in {both}'] = leak['ids']
    problems.update(report.get('missing', {}))
    wordings = dict(
        out_of_range='clips with boxes that reach out of the frame',
        without_area='clips with boxes without area within the frame',
        empty='clips with no box left within the frame',
        bad_mask='clips with a mask that is damaged or empty',
        other_shape='clips annotated in a picture of other proportions than the frame',
        unannotated='evaluated clips without annotation',
    )
    problems |= {words: annotations.get(key) for key, words in wordings.items()}
    unreadable = media.get('unreadable', {}).items()
    problems['unreadable clips'] = [f'{i}: {reason}' for i, reason in unreadable]
    wordings = dict(
        silent='silent sounds',
        cancelling='sounds whose channels cancel each other when mixed to one',
        unheard='clips whose frame is shown while no sound is stored',
    )
    problems |= {words: media.get(key) for key, words in wordings.items()}
    shared = {
        f'groups of files with the same {kind}s': media.get(f'same_{kind}', ())
        for kind in ('frame', 'sound')
    }
    for name, groups in report.get('content_leaks', {}).items():
        left, right = name.split('_')
        shared[f'contents in {left} and {right}'] = groups
    for name, groups in shared.items():
        problems[name] = [' = '.join(group) for group in groups]
    return {name: cases for name, cases in problems.items() if cases}
