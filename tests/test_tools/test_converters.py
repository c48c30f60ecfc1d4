"""Raw media to a data set that trains: videos, Flickr-SoundNet, COCO labels."""

import json
import os
import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile

from mmxpl.datasets import AVJsonDataset, FlickrSoundNetDataset, VGGSSDataset
from mmxpl.datasets.annotations import decode_rle
from mmxpl.datasets.convert import lock_output

pytest.importorskip('av', reason='videos are read with PyAV')
TOOLS = Path(__file__).parents[2] / 'tools' / 'dataset_converters'


@pytest.fixture(scope='module')
def tool():
    mains = {}

    def tool(name, *arguments):
        if name not in mains:
            mains[name] = runpy.run_path(str(TOOLS / f'{name}.py'))['main']
        return mains[name]([str(a) for a in arguments])

    return tool


@pytest.fixture
def videos(make_video, tmp_path):
    folder = tmp_path / 'videos'
    (folder / 'deep').mkdir(parents=True)
    make_video(folder / '-a_000010.mkv')
    make_video(folder / 'deep' / 'b.c_000020.mkv')
    (folder / 'bad.mp4').write_bytes(b'no video')
    make_video(folder / 'mute.mkv', 1.0, sound=False)
    (folder / 'notes.txt').write_text('x')
    (folder / os.fsdecode(b'x.\xff')).touch()
    return folder


def _number(path):
    luma = 16 + float(cv2.imread(str(path)).mean()) * 219 / 255
    return (luma - 20) / 5


def test_videos_to_a_data_set(tool, videos, tmp_path, capsys):
    out = tmp_path / 'out'
    (tmp_path / 'annotated.csv').write_bytes(b'-a_000010\r\ngone_000030\r\n')
    arguments = ['--videos', videos, '--out', out, '--workers', 2]
    arguments += ['--annotated-list', tmp_path / 'annotated.csv', '--annotated-at', 2.5]
    assert tool('extract_videos', *arguments) == 0
    printed = capsys.readouterr().out
    assert '4 clips: 2 complete (0 of them from an earlier run), 2 failed' in printed
    assert '1 of 2 clips have no video (gone_000030)' in printed
    assert f'{videos}: files that are no videos are left out (1 .txt, 1 wi' in printed
    failed = (out / 'failed.csv').read_text()
    assert 'bad.mp4: the file is damaged' in failed
    assert 'mute.mkv: the file has no sound' in failed
    # the annotated frame, and the middle one
    assert _number(out / 'frames' / '-a_000010.jpg') == pytest.approx(25, abs=0.4)
    assert _number(out / 'frames' / 'b.c_000020.jpg') == pytest.approx(14, abs=0.4)
    names = sorted(p.name for p in (out / 'frames').iterdir())
    assert names == ['-a_000010.jpg', 'b.c_000020.jpg']
    wave = soundfile.info(out / 'audio' / '-a_000010.wav')
    assert (wave.samplerate, wave.channels) == (16000, 1)
    assert wave.frames == pytest.approx(48000, abs=32)

    ids = ['-a_000010', 'b.c_000020']
    plain = AVJsonDataset(data_root=str(out), ann_file='clips.json')
    assert plain.sample_ids == VGGSSDataset(data_root=str(out)).sample_ids == ids
    for dataset in (plain, VGGSSDataset(data_root=str(out))):
        assert [one['frame_time'] for one in dataset] == pytest.approx([2.5, 1.4])

    before = (out / 'audio' / '-a_000010.wav').stat().st_mtime_ns
    (out / 'frames' / 'b.c_000020.jpg').unlink()
    assert tool('extract_videos', *arguments) == 0
    assert '2 complete (1 of them from an earlier run)' in capsys.readouterr().out
    assert (out / 'audio' / '-a_000010.wav').stat().st_mtime_ns == before
    assert (out / 'frames' / 'b.c_000020.jpg').is_file()
    with pytest.raises(SystemExit):
        tool('extract_videos', *arguments[:-1], 1.0)
    assert 'converted with other settings' in capsys.readouterr().err


def test_videos_of_one_name_are_all_taken(tool, make_video, tmp_path, capsys):
    folder, out = tmp_path / 'videos', tmp_path / 'out'
    (folder / 'b').mkdir(parents=True)
    names = [
        'a.avi',
        'a.mkv',
        'b/a.avi',
        'glocke\u0301.mkv',
    ]  # taken apart, as on macOS
    for n, name in enumerate(names):
        make_video(folder / name, 0.5, first=20 + 40 * n)
    (tmp_path / 'ids.txt').write_text('a.mkv\nglock\xe9\n')
    assert tool('extract_videos', '--videos', folder, '--out', out) == 0
    printed = capsys.readouterr().out
    assert f'{folder}/a.mkv: has the name of another video; its id is a.mkv' in printed
    ids = AVJsonDataset(data_root=str(out), ann_file='clips.json').sample_ids
    assert sorted(ids) == ['a', 'a.avi', 'a.mkv', 'glock\xe9']
    for n, sample_id in enumerate(['a', 'a.mkv', 'a.avi', 'glock\xe9']):
        frame = out / 'frames' / f'{sample_id}.jpg'
        assert _number(frame) == pytest.approx(2 + 8 * n, abs=0.4)
    part = VGGSSDataset(data_root=str(out), id_list=str(tmp_path / 'ids.txt'))
    assert part.sample_ids == ['a.mkv', 'glock\xe9']
    # no video takes the id of one that is gone over
    (folder / 'a.avi').unlink()
    assert tool('extract_videos', '--videos', folder, '--out', out) == 0
    assert '3 complete (3 of them from an earlier run)' in capsys.readouterr().out


def test_a_new_video_never_takes_an_id_over(tool, make_video, tmp_path, capsys):
    folder, out = tmp_path / 'videos', tmp_path / 'out'
    for day in ('day1', 'day2'):
        (folder / day).mkdir(parents=True)
    arguments = ('extract_videos', '--videos', folder, '--out', out)
    make_video(folder / 'day2' / 'a.mkv', 0.5, first=60)
    assert tool(*arguments) == 0
    make_video(folder / 'day1' / 'a.mkv', 0.5, first=20)  # sorts first
    assert tool(*arguments) == 0
    assert '2 complete (1 of them from an earlier run)' in capsys.readouterr().out
    assert _number(out / 'frames' / 'a.jpg') == pytest.approx(10, abs=0.4)
    assert _number(out / 'frames' / 'a.mkv.jpg') == pytest.approx(2, abs=0.4)
    before = (out / 'frame_times.csv').read_text()
    (folder / 'day2' / 'a.mkv').rename(folder / 'a.mkv')
    with pytest.raises(SystemExit):
        tool(*arguments)
    assert "the id a is that of 'day2/a.mkv'" in capsys.readouterr().err
    assert (out / 'frame_times.csv').read_text() == before
    assert _number(out / 'frames' / 'a.jpg') == pytest.approx(10, abs=0.4)


@pytest.fixture
def two_extracted(tool, make_video, tmp_path):
    """Two videos below a folder, extracted: the folders and the command."""
    folder, out = tmp_path / 'videos', tmp_path / 'out'
    folder.mkdir()
    arguments = ('extract_videos', '--videos', folder, '--out', out)
    for name in 'ab':
        make_video(folder / f'{name}.mkv', 0.5)
    assert tool(*arguments) == 0
    return folder, out, arguments


def test_a_video_that_changed_is_extracted_again(
    tool, make_video, two_extracted, capsys
):
    folder, out, arguments = two_extracted
    make_video(folder / 'a.mkv', 0.5, first=60)
    os.utime(folder / 'a.mkv', (1, 1))  # older than what was extracted
    assert tool(*arguments) == 0
    printed = capsys.readouterr().out
    assert '1 videos changed since they were extracted' in printed
    assert 'look at their labels (a)' in printed
    assert '2 complete (1 of them from an earlier run)' in printed
    assert _number(out / 'frames' / 'a.jpg') == pytest.approx(10, abs=0.4)
    assert tool(*arguments) == 0
    assert '2 complete (2 of them from an earlier run)' in capsys.readouterr().out


def test_a_folder_of_before_stamps_gets_them(
    tool, make_video, two_extracted, tmp_path, capsys
):
    folder, out, arguments = two_extracted
    times = out / 'frame_times.csv'
    rows = times.read_text().splitlines()
    plain = [row.rsplit(',', 1)[0] for row in rows]
    times.write_text('\n'.join([*plain, '']))
    (folder / 'b.mkv').rename(tmp_path / 'b.mkv')
    (folder / 'b.mkv').symlink_to('gone.mkv')  # its clip is there
    capsys.readouterr()
    assert tool(*arguments) == 0
    assert '2 complete (2 of them from an earlier run)' in capsys.readouterr().out
    assert times.read_text().splitlines() == [*rows[:2], f'{plain[2]},']
    make_video(folder / 'a.mkv', 0.5, first=60)
    (out / 'audio' / 'b.wav').unlink()
    assert tool(*arguments) == 0
    printed = capsys.readouterr().out
    assert '1 videos changed since they were extracted' in printed
    assert '1 complete (0 of them from an earlier run), 1 failed' in printed
    assert 'b.mkv: the file cannot be read' in (out / 'failed.csv').read_text()


@pytest.mark.parametrize(
    ('name', 'inputs'),
    [('extract_videos', ['--videos']), ('flickr_soundnet', ['--frames', '--audio'])],
)
def test_a_second_conversion_into_a_folder_is_refused(
    tool, tmp_path, capsys, name, inputs
):
    for file in ('x.mp4', 'x.jpg', 'x.wav'):
        (tmp_path / file).touch()
    out = tmp_path / 'out'
    out.mkdir()
    sources = [word for option in inputs for word in (option, tmp_path)]
    with lock_output(out), pytest.raises(SystemExit):
        tool(name, *sources, '--out', out)
    assert f'{out}: another conversion into this' in capsys.readouterr().err
    assert not list(out.iterdir())


def test_nothing_complete_is_a_failure(tool, tmp_path, capsys):
    (tmp_path / 'videos').mkdir()
    (tmp_path / 'videos' / 'a.mp4').write_bytes(b'no video')
    arguments = ['--videos', tmp_path / 'videos', '--out', tmp_path / 'out']
    assert tool('extract_videos', *arguments) == 1


def test_an_annotated_frame_is_never_replaced(tool, videos, tmp_path, capsys):
    (tmp_path / 'ids.txt').write_text('-a_000010\nnone\n')
    out = tmp_path / 'out'
    lists = ['--ids', tmp_path / 'ids.txt', '--annotated-list', tmp_path / 'ids.txt']
    assert tool('extract_videos', '--videos', videos, '--out', out, *lists) == 1
    failed = (out / 'failed.csv').read_text()
    assert 'before the frame at 5 s' in failed
    assert 'none: no video below' in failed
    assert not (out / 'frames').exists()
    assert not (out / 'clips.json').exists()


def test_a_time_of_annotated_frames_needs_their_list(tool, videos, tmp_path, capsys):
    arguments = ['--videos', videos, '--out', tmp_path / 'out', '--annotated-at', 3]
    with pytest.raises(SystemExit):
        tool('extract_videos', *arguments)
    assert 'no effect without --annotated-list' in capsys.readouterr().err


def test_own_clips_with_labels_of_coco(tool, videos, tmp_path, capsys):
    out = tmp_path / 'out'
    tool('extract_videos', '--videos', videos, '--out', out)
    coco = {
        'images': [{'id': 1, 'file_name': 'b.c_000020.jpg', 'height': 32, 'width': 32}],
        'annotations': [
            {
                'image_id': 1,
                'category_id': 3,
                'bbox': [8, 8, 16, 16],
                'segmentation': [[8, 8, 24, 8, 24, 24, 8, 24]],
            }
        ],
        'categories': [{'id': 3, 'name': 'bell'}],
    }
    (tmp_path / 'coco.json').write_text(json.dumps(coco))
    arguments = ['--coco', tmp_path / 'coco.json', '--clips', out / 'clips.json']
    arguments += ['--out', out / 'annotations.json', '--list', out / 'labeled.txt']
    tool('import_labels', *arguments)
    assert '1 of 2 clips have labels now: 1 boxes, 1 clips' in capsys.readouterr().out
    assert len((out / 'without_labels.txt').read_text().split()) == 1
    coco['annotations'][0]['bbox'] = [-8, 8, 32, 16]
    (tmp_path / 'cut.json').write_text(json.dumps(coco))
    tool(
        'import_labels', '--coco', tmp_path / 'cut.json', *arguments[2:], '--overwrite'
    )
    assert '1 boxes reach out of their image and are cut' in capsys.readouterr().out
    tool('import_labels', *arguments, '--overwrite')
    assert 'reach out' not in capsys.readouterr().out
    coco['annotations'][0]['bbox'] = [8, 8, 16, 16]
    common = {'data_root': str(out), 'id_list': 'labeled.txt', 'labeled': True}
    for source in ('boxes', 'mask'):
        load = [{'type': 'LoadFrame', 'size': 32}, {'type': 'LoadAudio'}]
        load += [{'type': 'RasterizeTargets', 'size': 32, 'source': source}]
        dataset = AVJsonDataset(pipeline=[*load, {'type': 'PackAVInputs'}], **common)
        (sample,) = (one['data_samples'] for one in dataset)
        assert sample.category == 'bell'
        assert sample.gt_map[8:24, 8:24].all()
        assert sample.gt_map.sum() == 256
    assert dataset.metainfo['classes'] == ['bell']
    with pytest.raises(SystemExit):
        tool('import_labels', *arguments)
    assert 'exists already' in capsys.readouterr().err
    coco['images'][0]['width'] = 64
    (tmp_path / 'coco.json').write_text(json.dumps(coco))
    with pytest.raises(SystemExit):
        tool('import_labels', *arguments, '--overwrite')
    assert 'annotated at 64 x 32, its frame is 32 x 32' in capsys.readouterr().err
    coco['images'][0]['file_name'] = 'other.jpg'
    (tmp_path / 'coco.json').write_text(json.dumps(coco))
    with pytest.raises(SystemExit):
        tool('import_labels', *arguments, '--overwrite')
    assert '1 annotated images are no clip' in capsys.readouterr().err


def test_masks_as_pictures(tool, tiny_world, tmp_path, capsys):
    masks = tmp_path / 'masks' / 'deep'
    masks.mkdir(parents=True)
    wanted = np.zeros((48, 64), np.uint8)
    wanted[12:24, 16:48] = 1
    coloured = np.zeros((48, 64, 4), np.uint8)
    coloured[..., 3] = 255  # opaque, black
    coloured[12:24, 16:48, 2] = 7
    cv2.imwrite(str(masks / 'clip-00.png'), 255 * wanted)
    cv2.imwrite(str(masks / 'clip-01.png'), coloured)
    cv2.imwrite(str(masks / 'clip-02.png'), 0 * wanted)
    clips = {'metainfo': {}, 'data_list': []}
    for n in range(4):
        i = f'clip-{n:02d}'
        paths = {'img_path': f'frames/{i}.jpg', 'audio_path': f'audio/{i}.wav'}
        clips['data_list'].append({'sample_id': i, **paths})
    (tmp_path / 'clips.json').write_text(json.dumps(clips))
    (tmp_path / 'frames').symlink_to(tiny_world / 'frames')
    arguments = ['--masks', tmp_path / 'masks', '--clips', tmp_path / 'clips.json']
    arguments += ['--out', tmp_path / 'ann.json', '--list', tmp_path / 'list.txt']
    tool('import_labels', *arguments)
    printed = capsys.readouterr().out
    assert '1 masks are black (clip-02)' in printed
    assert '2 of 4 clips have labels now: 2 boxes, 2 clips with masks' in printed
    dataset = AVJsonDataset(
        data_root=str(tiny_world),
        ann_file=str(tmp_path / 'ann.json'),
        id_list=str(tmp_path / 'list.txt'),
        labeled=True,
    )
    assert dataset.sample_ids == ['clip-00', 'clip-01']
    for entry in dataset:
        assert (decode_rle(entry['mask'], 'mask') == wanted).all()
        assert entry['bboxes'] == [[0.25, 0.25, 0.75, 0.5]]
    cv2.imwrite(str(masks / 'clip-00.png'), wanted.T)
    with pytest.raises(SystemExit):
        tool('import_labels', *arguments, '--overwrite')
    error = capsys.readouterr().err
    assert "'clip-00' was annotated at 48 x 64, its frame is 64 x 48" in error
    (masks / 'clip-00.png').write_bytes(b'')
    with pytest.raises(SystemExit):
        tool('import_labels', *arguments[:4], '--out', tmp_path / 'x', '--list', 'y')
    assert 'clip-00.png: the mask has zero bytes' in capsys.readouterr().err


def test_flickr_soundnet_as_distributed(tool, tmp_path, capsys):
    raw, out = tmp_path / 'raw', tmp_path / 'out'
    for name in ('frames/0', 'frames/1', 'sounds', 'xml'):
        (raw / name).mkdir(parents=True)
    image = np.full((8, 8, 3), 99, np.uint8)
    time = np.arange(44100) / 44100
    stereo = np.stack([np.sin(2 * np.pi * 440 * time)] * 2, 1) / 2
    for n, (frame, sound) in enumerate(
        [('jpg', 'mp3'), ('png', 'wav'), ('jpg', 'wav'), ('jpg', 'wav'), ('jpg', None)]
    ):
        cv2.imwrite(str(raw / 'frames' / str(n % 2) / f'10{n}.{frame}'), image)
        if sound:
            soundfile.write(raw / 'sounds' / f'10{n}.{sound}', stereo, 44100)
        box = ''.join(f'<v>{v}</v>' for v in ('id', 0, 0, 128, 128))
        (raw / 'xml' / f'10{n}.xml').write_text(f'<r><a><bbox>{box}</bbox></a></r>')
    (raw / 'xml' / '103.xml').write_text('<r><a>')
    cv2.imwrite(str(raw / 'frames' / '1' / '100.png'), image)  # of an id twice
    (raw / 'frames' / '0' / '102.jpg').write_bytes(b'no image')
    (tmp_path / 'ids.csv').write_bytes(
        b''.join(b'10%d.png,1\r\n' % n for n in range(6))
    )
    arguments = ['--frames', raw / 'frames', '--audio', raw / 'sounds', '--out', out]
    arguments += ['--xml', raw / 'xml', '--ids', tmp_path / 'ids.csv']
    assert tool('flickr_soundnet', *arguments) == 0
    printed = capsys.readouterr().out
    assert '6 clips: 2 complete' in printed
    assert f'{raw / "frames"}: 1 files have the id of another: left out' in printed
    failed = dict(
        line.split(',', 1) for line in (out / 'failed.csv').read_text().splitlines()
    )
    assert failed.pop('sample_id') == 'reason'
    assert set(failed) == {'102', '103', '104', '105'}
    assert 'not an image' in failed['102']
    assert 'not XML' in failed['103']
    assert '104: no sound below' in failed['104']
    assert '105: no frame below' in failed['105']
    files = sorted(str(p.relative_to(out)) for p in out.rglob('*.*'))
    assert files == [
        'Annotations/100.xml',
        'Annotations/101.xml',
        'audio/100.wav',
        'audio/101.wav',
        'convert.json',
        'failed.csv',
        'frames/100.jpg',
        'frames/101.png',
    ]
    for n in range(2):
        assert soundfile.info(out / 'audio' / f'10{n}.wav').samplerate == 16000
    assert len(FlickrSoundNetDataset(data_root=str(out), labeled=True)) == 2
    assert tool('flickr_soundnet', *arguments) == 0
    assert '2 complete (2 of them from an earlier run)' in capsys.readouterr().out
    (raw / 'sounds' / '100.mp3').unlink()
    (raw / 'sounds' / '100.mp3').symlink_to('gone.mp3')  # its clip is there
    os.utime(raw / 'sounds' / '101.wav')  # replaced
    assert tool('flickr_soundnet', *arguments) == 0
    assert '2 complete (1 of them from an earlier run)' in capsys.readouterr().out
