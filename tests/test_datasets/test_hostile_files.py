"""Whatever a file holds, reading it gives a DataError that names it, or data.

Valid files are damaged at random, from a fixed seed: bytes are cut, changed and
inserted, and values of JSON files are replaced by what nobody expects.
"""

import copy
import json
import random

import cv2
import numpy as np
import pytest
import soundfile

from mmxpl.datasets import AVJsonDataset, VGGSSDataset, read_clip_list
from mmxpl.datasets.annotations import clip_boxes, decode_rle
from mmxpl.datasets.audio_io import read_sound, read_waveform, sound_header
from mmxpl.datasets.convert import coco_labels
from mmxpl.datasets.flickr_soundnet import read_flickr_xml
from mmxpl.datasets.image_io import decode_frame, read_frame
from mmxpl.datasets.video_io import FrameReader
from mmxpl.datasets.video_sound import read_video_sound
from mmxpl.structures import rasterize_consensus
from mmxpl.utils import DataError

ODD_VALUES = (
    *(None, True, False, 0, -1, 10**400, -(10**400), 1e308, -2.88e16, 1e-320),
    *(float('nan'), float('inf'), '', 'x', '../x', '/etc/passwd', 'a\0b', '..', '~'),
    *('\ud800', 'x' * 5000, [], {}, [[]], [None], {'size': [1, 1]}, [[0, 0, 1, 1]] * 9),
)
ODD_BYTES = (b'\0', b'\r', b'"', b'\xff', b'../', b'<!DOCTYPE', b'&x;', b'9' * 500)
LIST = b'video,audio,label\r\nab-c_000010,d.e_000020,non-sounding\r\nf,f,sounding\r\n'
PLAIN = b'\xef\xbb\xbfab-c_000010,202\r\n"d.e, f_000020",1\n\n g.jpg \n'
XML = (
    b'<?xml version="1.0"?><annotation><person><bbox><id>1</id><xmin>1</xmin>'
    b'<ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bbox></person><other/></annotation>'
)
RLE = {'size': [3, 4], 'counts': [5, 2, 5]}
VGGSS = [{'file': 'a', 'class': 'b', 'bbox': [[0.1, 0.2, 0.3, 0.4]]}]
AV_JSON = {
    'metainfo': {'classes': ['b']},
    'data_list': [
        {
            'sample_id': 'a',
            'img_path': 'f/a.jpg',
            'audio_path': 's/a.wav',
            'category': 'b',
            'bboxes': [[0, 0, 1, 1]],
            'mask': RLE,
        }
    ],
}
COCO = {
    'images': [{'id': 1, 'file_name': 'a.jpg', 'height': 3, 'width': 4}],
    'annotations': [
        {
            'image_id': 1,
            'category_id': 1,
            'bbox': [0, 0, 2, 2],
            'segmentation': [[0, 0, 2, 0, 2, 2]],
        },
        {'image_id': 1, 'category_id': 1, 'bbox': [0, 0, 2, 2], 'segmentation': RLE},
    ],
    'categories': [{'id': 1, 'name': 'b'}],
}


def damage(data, rng):
    """Cuts, changes, inserts or repeats bytes."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            del data[at:]
        elif kind == 1 and at < len(data):
            data[at] = rng.randrange(256)
        elif kind == 2:
            data[at:at] = rng.choice(
                [
                    b'\0',
                    b'\r',
                    b'"',
                    b'\xff\xfe',
                    b'../',
                    b'<!DOCTYPE',
                    b'&x;',
                    b'9' * 500,
                ]
            )
        elif kind == 3:
            data[at:at] = data[at : at + rng.randrange(40)]
        else:
            del data[at : at + rng.randrange(20)]
    return bytes(data)


def places(node, path=()):
    """Yields the path of every value of a JSON document."""
    yield path
    if isinstance(node, dict | list):
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in items:
            yield from places(value, (*path, key))


def distort(document, rng):
    """Replaces or removes one value of a JSON document."""
    document = {'root': copy.deepcopy(document)}
    *way, last = ('root', *rng.choice(list(places(document['root']))))
    node = document
    for key in way:
        node = node[key]
    if rng.random() < 0.2 and isinstance(node, dict) and node is not document:
        del node[last]
    else:
        node[last] = rng.choice(ODD_VALUES)
    return json.dumps(document['root']).encode()


def survive(read, path, contents):
    """Reads every content and counts those that were refused."""
    messages = []
    for content in contents:
        path.unlink(missing_ok=True)  # ext4 waits for the disk to overwrite a file
        path.write_bytes(content)
        try:
            read(str(path))
        except DataError as error:
            messages.append(str(error))
    assert [text for text in messages if str(path) not in text] == []
    return len(messages)


def _read_vggss(path):
    dataset = VGGSSDataset(ann_file=path, labeled=True, lazy_init=True)
    for item in dataset.read_annotations().values():
        for box in clip_boxes(item['bboxes'])[0]:
            assert all(0 <= v <= 1 for v in box)


def _read_av_json(path):
    dataset = AVJsonDataset(
        ann_file=path, data_root='root', labeled=True, lazy_init=True
    )
    for entry in dataset.read_annotations().values():
        for field in ('img_path', 'audio_path'):
            assert entry[field].startswith('root/')
            assert '..' not in entry[field].split('/')
        if entry.get('mask') is not None:
            decode_rle(entry['mask'], path)


def _read_list(path):
    for clip in read_clip_list(path):
        for name in (clip.frame_id, clip.audio_id):
            assert name
            assert '..' not in name.replace('\\', '/').split('/')
            assert not name.startswith('/')


def _read_xml(path):
    gt_map = rasterize_consensus(read_flickr_xml(path))
    assert 0 <= gt_map.min() <= gt_map.max() <= 1


@pytest.mark.parametrize(
    ('read', 'name', 'valid', 'least'),
    [
        (_read_list, 'pairs.csv', LIST, 20),
        (_read_list, 'plain.csv', PLAIN, 5),
        (_read_xml, 'a.xml', XML, 40),
        (_read_vggss, 'vggss.json', json.dumps(VGGSS).encode(), 40),
        (_read_av_json, 'av.json', json.dumps(AV_JSON).encode(), 40),
        (coco_labels, 'coco.json', json.dumps(COCO).encode(), 40),
    ],
)
def test_damaged_text(tmp_path, read, name, valid, least):
    path, rng = tmp_path / name, random.Random(0)
    assert survive(read, path, [valid]) == 0
    assert survive(read, path, (damage(valid, rng) for _ in range(120))) >= least


@pytest.mark.parametrize(
    ('read', 'valid'),
    [(_read_vggss, VGGSS), (_read_av_json, AV_JSON), (coco_labels, COCO)],
    ids=['vggss', 'av_json', 'coco'],
)
def test_odd_values(tmp_path, read, valid):
    rng = random.Random(1)
    contents = (distort(valid, rng) for _ in range(150))
    assert survive(read, tmp_path / 'x.json', contents) >= 40


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
def test_damaged_frames(tmp_path, suffix):
    rng = random.Random(2)
    image = np.random.default_rng(0).integers(0, 256, (12, 9, 3), dtype=np.uint8)
    valid = cv2.imencode(suffix, image)[1].tobytes()
    path = tmp_path / f'a{suffix}'

    def read(name):
        assert decode_frame(name).ndim == 3
        assert read_frame(name, (4, 4))[0].shape == (4, 4, 3)

    assert survive(read, path, [valid]) == 0
    assert survive(read, path, (damage(valid, rng) for _ in range(60))) >= 8


@pytest.mark.parametrize('suffix', ['.wav', '.flac', '.ogg', '.mp3'])
def test_damaged_sounds(tmp_path, suffix):
    rng = random.Random(3)
    path = tmp_path / f'a{suffix}'
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, (3000, 2))
    soundfile.write(path, wave, 16000)
    valid = path.read_bytes()

    def read(name):
        sound_header(name)
        assert np.isfinite(read_sound(name)).all()
        assert read_waveform(name, 8000, 0.1).shape == (800,)

    assert survive(read, path, [valid]) == 0
    contents = [damage(valid, rng) for _ in range(25)]
    # most damage to the samples is heard, not seen; what is cut short is refused
    contents += [valid[: len(valid) * n // 20] for n in range(3)]
    assert survive(read, path, contents) >= 3


def test_damaged_videos(tmp_path):
    av = pytest.importorskip('av', reason='videos are read with PyAV')
    rng = random.Random(4)
    path = tmp_path / 'a.mp4'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('mpeg4', rate=5)
        stream.width = stream.height = 32
        for n in range(5):
            planes = np.full((48, 32), 40 * n, np.uint8)
            frame = av.VideoFrame.from_ndarray(planes, format='yuv420p')
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    valid = path.read_bytes()

    def read(name):
        with FrameReader(name) as frames:
            for time in (0.4, frames.last_time() / 2):
                assert frames.read(time)[1].ndim == 3

    assert survive(read, path, [valid]) == 0
    contents = [damage(valid, rng) for _ in range(30)]
    assert survive(read, path, contents) >= 8
    assert survive(lambda name: read_video_sound(name, 8000), path, contents) == 30
