import json
import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile

TOOL = Path(__file__).parents[2] / 'tools' / 'analysis_tools' / 'check_dataset.py'


@pytest.fixture(scope='module')
def check():
    main = runpy.run_path(str(TOOL))['main']
    return lambda *arguments: main([str(a) for a in arguments])


def test_a_clean_data_set(check, tiny_world, capsys):
    lists = [tiny_world / f'{s}.txt' for s in ('train', 'val', 'test')]
    options = [f'--{p.stem}-list={p}' for p in lists]
    for ann in ('vggss.json', 'annotations.json'):
        status = check(
            '--data-root', tiny_world, '--ann', tiny_world / ann, *options, '--deep'
        )
        printed = capsys.readouterr().out
        assert status == 0, printed
        assert '12 clips with frame and sound' in printed
        assert 'no problem found' in printed


def test_every_problem_is_reported_and_cleaned(check, spoilable_world, capsys):
    root = spoilable_world
    (root / 'frames' / 'clip-00.jpg').unlink()
    (root / 'audio' / 'clip-01.wav').write_bytes(b'RIFF')
    (root / 'frames' / 'clip-02.jpg').write_bytes(
        (root / 'frames' / 'clip-10.jpg').read_bytes()
    )
    with open(root / 'train.txt', 'a') as file:
        file.write('clip-10\r\nclip-03\r\n')
    items = json.loads((root / 'vggss.json').read_text())
    items[11]['bbox'] = [[0.5, 0.5, 0.5, 2]]
    (root / 'vggss.json').write_text(json.dumps(items))
    arguments = ['--data-root', root, '--ann', root / 'vggss.json', '--deep']
    arguments += ['--train-list', root / 'train.txt', '--test-list', root / 'test.txt']
    report = root / 'out' / 'report.json'
    clean = root / 'clean'
    assert check(*arguments, '--json', report, '--write-clean', clean) == 1
    found = json.loads(report.read_text())
    assert found['leaks']['train_test'] == {'count': 1, 'ids': ['clip-10']}
    assert found['lists'][0]['duplicates'] == ['clip-03']
    assert list(found['missing'].values()) == [['clip-00']]
    assert list(found['media']['unreadable']) == ['clip-01']
    assert found['content_leaks'] == {'train_test': [['clip-02', 'clip-10']]}
    assert found['annotations']['empty'] == ['clip-11']
    assert found['problems'] == {
        f'twice in {root}/train.txt': 1,
        'ids in train and test': 1,
        f'no frame in {root}/frames': 1,
        'clips with boxes that reach out of the frame': 1,
        'clips with boxes without area within the frame': 1,
        'clips with no box left within the frame': 1,
        'unreadable clips': 1,
        'groups of files with the same frames': 1,
        'contents in train and test': 1,
    }
    printed = capsys.readouterr().out
    assert 'ids in train and test: 1 (clip-10)' in printed
    assert (clean / 'train.txt').read_text().split() == [
        f'clip-{n:02d}' for n in range(3, 8)
    ]
    assert (clean / 'test.txt').read_text().split() == ['clip-10']


def test_media_that_can_be_read_but_not_learned_from(check, spoilable_world, capsys):
    root = spoilable_world
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, 8000)
    sounds = {n: root / 'audio' / f'clip-{n:02d}.wav' for n in range(3, 6)}
    soundfile.write(sounds[3], np.stack([wave, -wave], axis=1), 8000)
    # whole, though it names no length
    soundfile.write(root / 'x.flac', wave, 8000, subtype='PCM_16')
    data = bytearray((root / 'x.flac').read_bytes())
    data[21:26] = bytes([data[21] & 0xF0]) + bytes(4)
    sounds[4].write_bytes(data)
    soundfile.write(root / 'x.mp3', wave, 8000)
    data = (root / 'x.mp3').read_bytes()
    sounds[5].write_bytes(data[: len(data) // 2])
    frame = root / 'frames' / 'clip-06.jpg'
    cv2.imwrite(str(frame), cv2.imread(str(frame)).swapaxes(0, 1))
    content = json.loads((root / 'annotations.json').read_text())
    content['data_list'][7]['frame_time'] = 60.0
    (root / 'annotations.json').write_text(json.dumps(content))
    report = root / 'report.json'
    arguments = ['--data-root', root, '--ann', root / 'annotations.json', '--deep']
    assert check(*arguments, '--json', report) == 1
    found = json.loads(report.read_text())
    assert found['media']['cancelling'] == ['clip-03']
    assert list(found['media']['unreadable']) == ['clip-05']
    assert 'header promises' in found['media']['unreadable']['clip-05']
    assert found['annotations']['other_shape'] == ['clip-06']
    assert found['media']['unheard'] == ['clip-07']
    printed = capsys.readouterr().out
    assert 'channels cancel each other when mixed to one: 1 (clip-03)' in printed
    assert 'of other proportions than the frame: 1 (clip-06)' in printed


def test_lists_alone_are_enough(check, tmp_path, capsys):
    (tmp_path / 'train.txt').write_text('a\nb\n')
    (tmp_path / 'test.csv').write_bytes(b'b,1\r\nc,2\r\n')
    lists = [
        '--train-list',
        tmp_path / 'train.txt',
        '--test-list',
        tmp_path / 'test.csv',
    ]
    assert check(*lists) == 1
    assert 'ids in train and test: 1 (b)' in capsys.readouterr().out
    assert check(*lists, '--write-clean', tmp_path / 'clean') == 1
    lists[1] = tmp_path / 'clean' / 'train.txt'
    assert check(*lists) == 0


def test_a_folder_without_lists(check, spoilable_world, capsys):
    (spoilable_world / 'audio' / 'clip-05.wav').unlink()
    assert check('--data-root', spoilable_world) == 1
    printed = capsys.readouterr().out
    assert '11 clips with frame and sound' in printed
    assert 'no sound in' in printed


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--train-list', 'none.txt'], 'none.txt: the id list cannot be read'),
        (['--ann', 'none.json'], 'none.json: the annotation file cannot be read'),
        (['--data-root', 'none'], 'the media folder cannot be listed'),
        ([], 'name lists, --ann or --data-root'),
        (['--ann', 'x', '--deep'], '--deep needs --data-root'),
        (['--ann', 'x', '--write-clean', 'y'], '--write-clean needs a list'),
    ],
)
def test_unusable_arguments_exit_with_2(check, capsys, arguments, message):
    with pytest.raises(SystemExit) as caught:
        check(*arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
