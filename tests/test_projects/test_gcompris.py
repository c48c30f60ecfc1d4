"""GCompris's resources into a data set, from an archive made here."""

import json
import struct
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile

from mmxpl.datasets import AVJsonDataset
from mmxpl.utils import DataError

sys.path.insert(0, str(Path(__file__).parents[2] / 'projects' / 'gcompris'))

import make_pairs as tool
from make_pairs import BOXES
from rcc import read_rcc


def make_rcc(files, version=3, packed=()):
    """Writes files, all below the folder 'res', as Qt's rcc lays them out."""
    names, tree, data = b'', [], b''

    def name(text):
        nonlocal names
        at = len(names)
        names += struct.pack('>HI', len(text), 0) + text.encode('utf-16-be')
        return at

    def node(*values):
        tree.append(struct.pack('>IHII', *values) + bytes(8 if version > 1 else 0))

    node(0, 2, 1, 1)
    node(name('res'), 2, len(files), 2)
    for path, content in files.items():
        at, flags = len(data), 0
        if path in packed:
            flags = 1
            content = struct.pack('>I', len(content)) + zlib.compress(content)
        data += struct.pack('>I', len(content)) + content
        node(name(path), flags, 0, at)
    head = 24 if version == 3 else 20
    body = b''.join(tree)
    offsets = head, head + len(body), head + len(body) + len(data)
    header = b'qres' + struct.pack('>4I', version, *offsets)
    return header.ljust(head, b'\0') + body + data + names


def media(tmp_path):
    tmp_path.mkdir(exist_ok=True)
    picture, sound = tmp_path / 'x.webp', tmp_path / 'x.ogg'
    cv2.imwrite(str(picture), np.full((30, 40, 3), 90, np.uint8))
    noise = np.random.default_rng(0).normal(0, 0.1, 8000)
    soundfile.write(sound, noise, 8000)
    return picture.read_bytes(), sound.read_bytes()


@pytest.fixture
def package(tmp_path):
    picture, sound = media(tmp_path / 'media')
    animals = {'README': b'cat: somebody', 'cat.svg': b'<svg/>'}
    animals |= {'cat.webp': picture, 'cat.ogg': sound}
    animals |= {'chicken.webp': picture, 'chickens.ogg': sound}
    music = {'README': b'japan: someone else', 'japan.webp': picture}
    music |= {'japan.ogg': sound}
    folder = tmp_path / 'package' / 'usr' / 'rcc'
    folder.mkdir(parents=True)
    (folder / 'explore_farm_animals.rcc').write_bytes(make_rcc(animals))
    (folder / 'explore_world_music.rcc').write_bytes(make_rcc(music))
    return tmp_path / 'package'


@pytest.mark.parametrize('version', [1, 2, 3])
def test_every_format_gives_the_files_back(tmp_path, version):
    files = {'a.txt': b'plain', 'b.txt': b'packed ' * 50, 'ü.bin': bytes(range(256))}
    path = tmp_path / 'x.rcc'
    path.write_bytes(make_rcc(files, version, packed=['b.txt']))
    assert read_rcc(path) == {f'res/{name}': data for name, data in files.items()}


def test_damaged_resources_are_named(tmp_path):
    whole = make_rcc({'a.txt': b'content', 'b.txt': b'more'})
    path = tmp_path / 'x.rcc'
    with pytest.raises(DataError, match='dpkg -x'):
        read_rcc(path)
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError, match=r'x\.rcc'):
            read_rcc(path)
    path.write_bytes(whole.replace(b'qres\0\0\0\3', b'qres\0\0\0\7'))
    with pytest.raises(DataError, match='format is 7'):
        read_rcc(path)


def test_data_set_loads(package, tmp_path, capsys):
    out = tmp_path / 'out'
    tool.main(['--package', str(package), '--out', str(out)])
    assert f'{out / "labeled.txt"}: 2 clips' in capsys.readouterr().out
    licences = (out / 'LICENCES.txt').read_text()
    assert 'cat: somebody' in licences
    assert 'japan: someone else' in licences
    options = dict(data_root=str(out), ann_file='annotations.json')
    pipeline = [dict(type='mmxpl.LoadFrame', size=(16, 16))]
    pipeline += [dict(type='mmxpl.LoadAudio', sample_rate=16000, duration=0.5)]
    labeled = AVJsonDataset(
        **options, id_list='labeled.txt', labeled=True, pipeline=pipeline
    )
    boxes = {e['sample_id']: e['bboxes'] for e in labeled}
    assert sorted(boxes) == ['animal_cat', 'animal_chicken']
    np.testing.assert_allclose(boxes['animal_chicken'], BOXES['chicken'])
    (music,) = AVJsonDataset(**options, id_list='unlabeled.txt', pipeline=pipeline)
    assert music['sample_id'] == 'music_japan'
    entry = json.loads((out / 'annotations.json').read_text())['data_list'][0]
    assert (out / entry['img_path']).suffix == '.webp'


def test_what_is_not_the_package_is_refused(package, tmp_path):
    out = tmp_path / 'out'
    with pytest.raises(DataError, match='explore_farm_animals'):
        tool.write(tmp_path / 'media', out)
    resource = package / 'usr' / 'rcc' / 'explore_world_music.rcc'
    resource.write_bytes(make_rcc({'README': b'', 'drum.webp': b'x'}))
    with pytest.raises(DataError, match=r'no recording drum\.ogg'):
        tool.write(package, out)
    assert not out.exists()
    out.mkdir()
    with pytest.raises(DataError, match='exists already'):
        tool.write(package, out)


def test_boxes_lie_in_the_frame():
    for boxes in BOXES.values():
        for x1, y1, x2, y2 in boxes:
            assert 0 <= x1 < x2 <= 1
            assert 0 <= y1 < y2 <= 1
