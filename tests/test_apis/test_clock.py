"""Picture and sound of a video on one clock, in training and in inference alike."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from mmxpl.apis.av_input import SoundWindow, iter_inputs
from mmxpl.apis.video_overlay import OverlayOptions, overlaid_frames
from mmxpl.datasets import AVJsonDataset, LoadAudio, LoadFrame, VGGSSDataset

pytest.importorskip('av', reason='videos are read with PyAV')
TOOL = Path(__file__).parents[2] / 'tools/dataset_converters/extract_videos.py'
RATE = 16000
LONG = np.arange(0, 6, 0.1)
UNEVEN = [0, 0.03, 0.05, 0.4, 1.0, 2.2, 3.1, 4.9]
# container and codec; when frames begin; sound that is stored; frame in the middle
KINDS = {
    'plain.mkv': ({}, LONG, [(0, 6)], 2.95),
    'plain.mp4': ({'codec': 'libx264'}, LONG, [(0, 6)], 2.95),
    'sound_late.mkv': ({}, LONG, [(2.5, 6)], 2.95),
    'sound_late.mp4': ({'codec': 'libx264'}, LONG, [(2.5, 6)], 2.95),
    'sound_short.mkv': ({}, LONG, [(0, 3.5)], 2.95),
    'sound_with_gap.mkv': ({}, LONG, [(0, 2), (3.2, 6)], 2.95),
    'sound_with_gap.mp4': ({'codec': 'libx264'}, LONG, [(0, 2.048), (3.2, 6)], 2.95),
    'picture_late.mkv': ({}, LONG[30:], [(0, 6)], 4.45),
    'picture_late.mp4': ({'codec': 'libx264'}, LONG[30:], [(0, 6)], 4.45),
    'picture_short.mkv': ({}, LONG[:20], [(0, 6)], 0.95),
    'picture_at_the_end.mkv': ({}, LONG[-3:], [(0, 5)], 5.8),
    'no_sound_then.mkv': ({}, LONG, [(0, 0.5)], 2.95),
    'uneven_and_late.mkv': ({}, UNEVEN, [(1.5, 6)], 2.2),
    'transport_stream.mp4': (
        {'codec': 'libx264', 'container': 'mpegts', 'g': '250', 'sc_threshold': '0'},
        LONG,
        [(0, 6)],
        2.95,
    ),
}


def _time_of_picture(image):
    luma = 16 + float(image.mean()) * 219 / 255  # ITU-R BT.601
    return (luma - 20) / 20


def _time_of_sound(wave):
    """The middle of what is heard, by its frequency."""
    heard = np.flatnonzero(np.abs(wave) > 1e-3)
    part = wave[heard[0] : heard[-1] + 1]
    power = np.abs(np.fft.rfft(part * np.hanning(len(part)))) ** 2
    middle = np.searchsorted(np.cumsum(power), power.sum() / 2)
    return (middle * RATE / len(part) - 300) / 200


@pytest.fixture(scope='module')
def extracted(make_clock_video, tmp_path_factory):
    """Folder of the videos, and what the converter makes of them."""
    root = tmp_path_factory.mktemp('clock')
    (root / 'videos').mkdir()
    for name, (options, picture, sounds, _) in KINDS.items():
        path = root / 'videos' / name.replace('.', '_', 1)
        path = root / 'videos' / f'{path.name}{Path(name).suffix}'
        make_clock_video(path, picture, sounds, **options)
    main = runpy.run_path(str(TOOL))['main']
    arguments = ['--videos', str(root / 'videos'), '--out', str(root / 'out')]
    assert main(arguments) == 0
    return root


@pytest.mark.parametrize('name', KINDS)
def test_training_and_inference_hear_the_same(extracted, name):
    _, _, sounds, middle = KINDS[name]
    sample_id = name.replace('.', '_')
    duration = 2.0
    window = SoundWindow(RATE, duration)
    pipeline = [LoadFrame(32), LoadAudio(RATE, duration)]
    trained = []
    for kind in (AVJsonDataset, VGGSSDataset):
        options = dict(ann_file='clips.json') if kind is AVJsonDataset else {}
        data = kind(data_root=str(extracted / 'out'), pipeline=pipeline, **options)
        trained.append(data[data.sample_ids.index(sample_id)])
    np.testing.assert_array_equal(trained[0]['audio'], trained[1]['audio'])
    heard = trained[0]['audio']
    assert _time_of_picture(trained[0]['img']) == pytest.approx(middle, abs=0.12)

    # what is stored of the window is heard at its time, the rest is silence
    begin = middle - duration / 2
    grid = begin + np.arange(len(heard)) / RATE
    stored = np.any([(grid > a + 0.1) & (grid < b - 0.1) for a, b in sounds], axis=0)
    silent = np.all([(grid < a - 0.15) | (grid > b + 0.15) for a, b in sounds], axis=0)
    assert not heard[silent].any()
    pieces = heard[: len(heard) // 400 * 400].reshape(-1, 400)
    loud = np.abs(pieces).max(1) > 0.1
    assert loud[stored[: pieces.size].reshape(-1, 400).all(1)].all()
    for a, b in sounds:
        inside = (grid > a + 0.1) & (grid < b - 0.1)
        if inside.sum() > RATE // 4:
            wanted = grid[inside].mean()
            assert _time_of_sound(heard[inside]) == pytest.approx(wanted, abs=0.15)

    (video,) = (extracted / 'videos').glob(f'{sample_id}.*')
    pairs = list(iter_inputs(video, 0, window, []))
    times = [_time_of_picture(pair.img) for pair in pairs]
    shown = _time_of_picture(trained[0]['img'])
    place = int(np.argmin(np.abs(np.array(times) - shown)))
    wave, rate = pairs[place].audio
    assert rate == RATE
    np.testing.assert_array_equal(wave[:, 0], heard)


@pytest.mark.parametrize('name', ['sound_with_gap.mkv', 'sound_late.mp4'])
def test_the_video_demo_hears_the_same(extracted, inferencer, name, monkeypatch):
    (video,) = (extracted / 'videos').glob(f'{name.replace(".", "_")}.*')
    heard, original = [], inferencer.stream

    def spy(inputs, **options):
        heard.extend((pair.time, pair.audio[0]) for pair in inputs)
        return original(inputs, **options)

    monkeypatch.setattr(inferencer, 'stream', spy)
    list(overlaid_frames(inferencer, str(video), OverlayOptions(every=0)))
    monkeypatch.undo()
    wanted = [
        (p.time, p.audio[0]) for p in iter_inputs(video, 0, inferencer.window, [])
    ]
    assert len(heard) == len(wanted) == 60
    for (time, wave), (other, expected) in zip(heard, wanted, strict=True):
        assert time == other
        np.testing.assert_array_equal(wave, expected)


def test_what_does_not_run_along_is_listed(extracted):
    lines = (extracted / 'out' / 'frame_times.csv').read_text().splitlines()
    rows = dict(line.split(',', 1) for line in lines)
    assert ',plain_mkv.mkv,,' in rows['plain_mkv']  # no note
    assert '"sound from 2.50 to 6.00 s, picture to 6.00 s"' in rows['sound_late_mkv']
    assert 'no sound from 2.00 to 3.20 s' in rows['sound_with_gap_mkv']
    assert 'sound from -3.00 to 3.00 s' in rows['picture_late_mkv']
    content = json.loads((extracted / 'out' / 'clips.json').read_text())
    times = {e['sample_id']: e['frame_time'] for e in content['data_list']}
    assert times['picture_late_mkv'] == pytest.approx(4.4, abs=1e-4)
    assert times['plain_mkv'] == pytest.approx(2.9, abs=1e-4)
