import shutil

import cv2
import numpy as np
import pytest
import soundfile

from mmxpl.datasets.inspection import (
    check_annotations,
    check_media,
    count_problems,
    format_report,
)


def test_every_kind_of_bad_annotation():
    mask = {'size': [2, 2], 'counts': [1, 3]}
    facts = check_annotations(
        {
            'good': {'bboxes': [[0, 0, 1, 1]]},
            'wide': {'bboxes': [[0.5, 0, 1.5, 1], [0, 0, 0.1, 0.1]]},
            'flat': {'bboxes': [[0.5, 0, 0.5, 1], [0, 0, 0.1, 0.1]]},
            'gone': {'bboxes': [[2, 0, 3, 1]]},
            'none': {'bboxes': []},
            'mask': {'bboxes': None, 'mask': mask},
            'bare': {'bboxes': None, 'mask': {'size': [2, 2], 'counts': [4]}},
            'torn': {'bboxes': [[0, 0, 1, 1]], 'mask': {'size': [2, 2], 'counts': [3]}},
            'unlabeled': {},
        },
        evaluated={'good', 'missing'},
    )
    assert facts == {
        'count': 9,
        'boxes': 7,
        'out_of_range': ['wide', 'gone'],
        'without_area': ['flat', 'gone'],
        'empty': ['gone', 'none'],
        'bad_mask': ['bare', 'torn'],
        'unannotated': ['missing'],
    }


@pytest.fixture
def media(tmp_path):
    """Five clips: 'a' and 'e' hold the same in other files, 'b' is silent."""
    rng = np.random.default_rng(0)
    media = {}
    for n, name in enumerate('abcd'):
        frame, sound = tmp_path / f'{name}.png', tmp_path / f'{name}.wav'
        cv2.imwrite(str(frame), rng.integers(0, 256, (8, 6, 3), dtype=np.uint8))
        wave = rng.uniform(-0.5, 0.5, 4000 * (n + 1)) * (name != 'b')
        soundfile.write(sound, wave, 8000 if n else 4000)
        media[name] = (str(frame), str(sound))
    # the same pixels in another file, the same samples in another format
    image = cv2.imread(media['a'][0])
    cv2.imwrite(str(tmp_path / 'e.png'), image, [cv2.IMWRITE_PNG_COMPRESSION, 0])
    wave, rate = soundfile.read(media['a'][1], dtype='int16')
    soundfile.write(tmp_path / 'e.flac', wave, rate, subtype='PCM_16')
    media['e'] = (str(tmp_path / 'e.png'), str(tmp_path / 'e.flac'))
    return media


@pytest.mark.parametrize('workers', [1, 3])
def test_content_is_compared_and_silence_is_heard(media, workers):
    facts = check_media(media, deep=True, workers=workers)
    assert facts == {
        'count': 5,
        'unreadable': {},
        'rates': {4000: 2, 8000: 3},
        'durations': {'0-1 s': 3, '1-3 s': 2},
        'silent': ['b'],
        'cancelling': [],
        'unheard': [],
        'same_frame': [['a', 'e']],
        'same_sound': [['a', 'e']],
    }


def test_channels_that_cancel_each_other(media):
    wave = np.random.default_rng(1).uniform(-0.5, 0.5, 4000)
    soundfile.write(media['c'][1], np.stack([wave, -wave], 1), 8000)
    soundfile.write(media['d'][1], np.stack([wave, 0 * wave], 1), 8000)
    facts = check_media(media, deep=True)
    assert facts['cancelling'] == ['c']
    assert facts['silent'] == ['b']


def test_frames_that_are_shown_without_sound(media):
    times = dict(a=-0.1, b=0.0, c=0.7, d=99.0, x=5.0)
    assert check_media(media, times=times)['unheard'] == ['a', 'd']


def test_headers_alone_without_deep(media):
    with open(media['a'][0], 'w') as file:
        file.write('no image')
    facts = check_media(media)
    assert facts['unreadable'] == {}
    assert facts['rates'] == {4000: 2, 8000: 3}
    assert 'silent' not in facts


@pytest.mark.parametrize('deep', [True, False])
def test_bad_sounds_are_named_with_their_reason(media, tmp_path, deep):
    with open(media['c'][1], 'r+b') as file:
        file.truncate(3000)
    soundfile.write(media['d'][1], np.zeros(0), 8000)
    facts = check_media(media, deep)
    assert set(facts['unreadable']) == {'c', 'd'}
    assert 'c.wav: the sound is truncated' in facts['unreadable']['c']
    assert 'd.wav: the sound holds no samples' in facts['unreadable']['d']


def test_bad_frames_are_named_with_their_reason(media, tmp_path):
    with open(media['c'][0], 'r+b') as file:
        file.truncate(30)
    soundfile.write(media['d'][1], np.array([0.1, np.nan]), 8000, subtype='FLOAT')
    soundfile.write(media['b'][1], np.array([0.1, 300]), 8000, subtype='FLOAT')
    facts = check_media(media, deep=True)
    assert set(facts['unreadable']) == {'b', 'c', 'd'}
    assert 'c.png: the frame is truncated' in facts['unreadable']['c']
    assert 'not finite' in facts['unreadable']['d']
    assert 'floats up to 300' in facts['unreadable']['b']


def test_a_file_of_several_clips_is_opened_once_and_is_no_double(media, tmp_path):
    media = {'a': media['a'], 'a+c': (media['a'][0], media['c'][1])}
    steps = []
    facts = check_media(media, deep=True, advance=lambda: steps.append(1))
    assert len(steps) == 3
    assert facts['same_frame'] == facts['same_sound'] == []
    shutil.copy(media['a'][0], tmp_path / 'copy.png')
    media['z'] = (str(tmp_path / 'copy.png'), media['a'][1])
    facts = check_media(media, deep=True)
    assert facts['same_frame'] == [['a', 'z']]
    with open(media['a'][0], 'w'):
        pass
    assert set(check_media(media, deep=True)['unreadable']) == {'a', 'a+c'}


LIST = dict(split='train', count=3, id_list_hash='abc', path='t.txt', duplicates=[])
GOOD = dict(
    lists=[LIST],
    leaks=dict(train_test=dict(ids=[])),
    annotations=dict(count=3, boxes=4, empty=[]),
    missing={'no frame': []},
    media=dict(
        count=3,
        rates={16000: 3},
        durations={'3 s': 3},
        unreadable={},
        silent=[],
        same_frame=[],
    ),
)


def test_nothing_wrong():
    assert count_problems(GOOD) == {}
    text = format_report(GOOD)
    assert 'no problem found' in text
    for fact in ('3 clips', 'id hash abc', '4 boxes', '16000 Hz: 3', '3 s: 3'):
        assert fact in text
    assert count_problems({}) == {}


def test_every_kind_is_counted_and_some_cases_named():
    bad = dict(
        lists=[dict(LIST, duplicates=['a', 'b'])],
        leaks=dict(train_test=dict(ids=['c']), train_train=dict(ids=['d', 'e'])),
        annotations=dict(count=3, boxes=4, empty=['f'], unannotated=['g', 'h', 'i']),
        missing={'no frame': ['j']},
        media=dict(
            GOOD['media'],
            unreadable={'k': 'is empty'},
            silent=['l'],
            same_sound=[['m', 'n'], ['o', 'p']],
        ),
        content_leaks=dict(val_test=[['q', 'r']]),
    )
    counts = count_problems(bad)
    assert counts == {
        'twice in t.txt': 2,
        'ids in train and test': 1,
        'ids in two train lists': 2,
        'no frame': 1,
        'clips with no box left within the frame': 1,
        'evaluated clips without annotation': 3,
        'unreadable clips': 1,
        'silent sounds': 1,
        'groups of files with the same sounds': 2,
        'contents in val and test': 1,
    }
    text = format_report(bad)
    for kind, count in counts.items():
        assert f'{kind}: {count} (' in text
    for case in ('k: is empty', 'm = n', 'q = r'):
        assert case in text
