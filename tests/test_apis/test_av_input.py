import cv2
import numpy as np
import pytest
import soundfile
import torch

from mmxpl.apis.av_input import AVInput, SoundWindow, as_pair, iter_inputs
from mmxpl.utils import DataError

WINDOW = SoundWindow(8000, 1.0)
FRAME = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
SOUND = (np.zeros(8000, np.float32), 8000)


def pairs(inputs):
    return list(iter_inputs(inputs, 1.0, WINDOW, []))


@pytest.mark.parametrize(
    ('wave', 'expected'),
    [
        (np.array([0, 16384, -32768], np.int16), [[0], [0.5], [-1]]),
        (np.array([[0.25, -0.5]]), [[0.25, -0.5]]),
        ([1, -1], [[2**-63], [-(2**-63)]]),
    ],
)
def test_samples_become_float_of_time_by_channels(wave, expected):
    samples, rate = as_pair(FRAME, (wave, np.int64(16000))).audio
    assert samples.dtype == np.float32
    assert np.array_equal(samples, np.array(expected, np.float32))
    assert (rate, type(rate)) == (16000, int)


@pytest.mark.parametrize(
    ('img', 'audio', 'message'),
    [
        (FRAME.astype(float), SOUND, 'float64 of shape'),
        (FRAME[..., 0], SOUND, r'\(H, W, 3\), got \(4, 6\)'),
        (FRAME[:0], SOUND, 'uint8 array'),
        (FRAME, np.zeros(9), r'pair \(samples, rate\)'),
        (FRAME, (np.zeros(9), 16), 'rate of 16 Hz'),
        (FRAME, (np.zeros(9), 16000.0), 'rate of 16000.0 Hz'),
        (FRAME, (np.zeros(0), 16000), 'samples must be numbers'),
        (FRAME, (np.array(['a']), 16000), 'samples must be numbers'),
        (FRAME, (np.zeros((2, 9000)), 16000), 'transpose'),
        (FRAME, (np.zeros(9, np.uint8), 16000), 'unsigned'),
        (FRAME, (np.array([np.inf]), 16000), 'not finite'),
        (FRAME, (np.array([0, -8.1]), 16000), r'floats up to 8.1, not in \[-1, 1\]'),
        (FRAME, (torch.zeros(9, requires_grad=True), 16000), 'requires grad'),
    ],
)
def test_what_is_no_frame_or_sound_is_said(img, audio, message):
    with pytest.raises(DataError, match=f"'dog': .*{message}"):
        as_pair(img, audio, 'dog')


def test_pairs_are_named_after_their_files():
    assert as_pair('a/dog.jpg', SOUND).sample_id == 'dog'
    assert as_pair(FRAME, 'a/bark.wav').sample_id == 'bark'
    assert as_pair('a/dog.jpg', 'a/bark.wav').sample_id == 'dog'
    assert as_pair(FRAME, SOUND).sample_id == ''


def test_everything_that_holds_pairs_is_walked_through():
    pair = AVInput('own', FRAME, SOUND)
    inputs = [pair, ('x.jpg', 'x.wav'), [dict(img='y.jpg', audio='y.wav')]]
    assert [p.sample_id for p in pairs(iter(inputs))] == ['own', 'x', 'y']
    assert [p.sample_id for p in pairs([('x.jpg', 'x.wav'), (FRAME, SOUND)])] == [
        'x',
        'pair_000001',
    ]
    for bad, message in (
        ('', "'' is no path"),
        (AVInput('own', FRAME[0], SOUND), "'own': an image must be"),
        (dict(img=FRAME), r"no \['audio'\]"),
        ((1, 2, 3), 'tuple of 3'),
        (FRAME, 'ndarray is no pair'),
        (None, 'NoneType is no pair'),
    ):
        with pytest.raises(DataError, match=message):
            pairs(bad)


def test_a_folder_of_pairs_says_what_it_leaves_out(tmp_path, logged):
    for name in ('frames', 'audio'):
        (tmp_path / name).mkdir()
    for name in ('b', 'a', 'alone'):
        cv2.imwrite(str(tmp_path / 'frames' / f'{name}.png'), FRAME)
    for name in ('a', 'b'):
        soundfile.write(tmp_path / 'audio' / f'{name}.wav', *SOUND)
    found = pairs(tmp_path)
    assert [p.sample_id for p in found] == ['a', 'b']
    assert np.array_equal(found[0].picture(), FRAME[..., ::-1])
    assert '1 clips lack frame or sound and are skipped (alone)' in logged()
    for path in (tmp_path / 'audio').iterdir():
        path.unlink()
    with pytest.raises(DataError, match='have no files of the same name'):
        pairs(tmp_path)


def test_a_test_pipeline_gets_files_or_what_is_in_memory():
    results = AVInput('x', 'x.jpg', SOUND).results(3)
    assert (results['img_path'], results['audio_path']) == ('x.jpg', '')
    assert results['sound'] is SOUND
    assert 'frame' not in results
    assert (results['sample_id'], results['sample_idx']) == ('x', 3)
    assert results['is_labeled'] is False
    assert AVInput('x', FRAME, 'x.wav').results(0)['frame'] is FRAME
