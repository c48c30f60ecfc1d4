import os

import pytest

from mmxpl.datasets.audio_io import read_waveform
from mmxpl.datasets.image_io import decode_frame
from mmxpl.datasets.media import existing_paths, list_media, media_paths, path_inside
from mmxpl.datasets.video_sound import read_video_clip
from mmxpl.utils import DataError


def test_list_media_prefers_the_first_suffix(tmp_path):
    composed, decomposed = '\u00e9', 'e\u0301'
    names = ['b.c.png', '-d.jpeg', '.g.jpg', 'e.txt', 'f', 'jpg', '.jpg', '..jpg']
    names += ['a.png', 'a.jpg', 'a.JPG', f'{decomposed}.jpg', f'{composed}x.png']
    for name in names:
        (tmp_path / name).touch()
    ends = list_media(str(tmp_path), ('.jpg', '.jpeg', '.png'))
    ids = ['-d', '.g', 'a', 'b.c', composed, f'{composed}x']
    assert sorted(ends) == sorted(ids)
    paths = media_paths(str(tmp_path), [*ids, 'gone'], map(ends.get, [*ids, 'gone']))
    taken = '-d.jpeg', '.g.jpg', 'a.JPG', 'b.c.png', f'{decomposed}.jpg'
    expected = [str(tmp_path / name) for name in (*taken, f'{composed}x.png')]
    assert list(paths) == [*expected, None]


def test_a_missing_folder_names_the_remedy(tmp_path):
    with pytest.raises(DataError, match=r'gone.*MMXPL_DATA_ROOT'):
        list_media(str(tmp_path / 'gone'), ('.jpg',))


def test_existing_paths_lists_each_folder_once(tmp_path, monkeypatch):
    (tmp_path / 'sub').mkdir()
    there = [str(tmp_path / 'sub' / f'{n}.jpg') for n in range(5)]
    for path in there[:3]:
        open(path, 'w').close()
    calls = []
    scandir = os.scandir
    monkeypatch.setattr(os, 'scandir', lambda p: calls.append(p) or scandir(p))
    gone = str(tmp_path / 'other' / 'x.jpg')
    assert existing_paths([*there, gone]) == [*there[:3], None, None, None]
    assert len(calls) == 2


def test_path_inside_joins(tmp_path):
    root = str(tmp_path)
    assert path_inside(root, 'a/b.jpg', 'x') == f'{root}/a/b.jpg'
    assert path_inside(root, './a/../b.jpg', 'x') == f'{root}/b.jpg'
    assert path_inside(root, f'{root}/a.jpg', 'x') == f'{root}/a.jpg'
    assert path_inside('', 'a.jpg', 'x') == 'a.jpg'
    assert path_inside(root, '..a/b.jpg', 'x') == f'{root}/..a/b.jpg'


@pytest.mark.parametrize(
    'path', ['../a.jpg', 'a/../../b.jpg', '/etc/passwd', '.', '..', 'a/..']
)
def test_path_inside_refuses_to_leave(tmp_path, path):
    with pytest.raises(DataError, match='f: .* leads out of the data folder'):
        path_inside(str(tmp_path / 'root'), path, 'f')


@pytest.mark.parametrize('path', [None, 3, '', 'a\0b', ['a']])
def test_path_inside_refuses_what_is_no_path(tmp_path, path):
    with pytest.raises(DataError, match="f must be a file's path"):
        path_inside(str(tmp_path), path, 'f')


def test_pipes_and_devices_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / 'a.pipe')
    for path in (tmp_path / 'a.pipe', '/dev/zero', tmp_path):
        for read in (
            decode_frame,
            lambda name: read_waveform(name, 16000, 0.5),
            lambda name: read_video_clip(name, 8000),
        ):
            with pytest.raises(DataError, match='it is a folder, pipe or device'):
                read(str(path))
