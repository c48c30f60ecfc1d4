"""Hypothesis looks for files that make a reader fail with another error."""

import itertools
import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmxpl.datasets import AVJsonDataset, VGGSSDataset, read_clip_list, read_id_list
from mmxpl.datasets.annotations import decode_rle
from mmxpl.datasets.convert import coco_labels
from mmxpl.datasets.flickr_soundnet import read_flickr_xml
from mmxpl.structures import rasterize_consensus
from mmxpl.utils import DataError

# any JSON value, NaN, infinity and huge integers among them
SCALAR = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 300),
    st.sampled_from([10**400, -(10**400), 2**31, 2**64]),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(['../x', '/etc/x', '..', '.', 'a\0b', '\ud800', 'a/b', '']),
)
ANY = st.recursive(
    SCALAR,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


def mostly(strategy):
    """Gives what is expected, and now and then anything."""
    # 13, since hypothesis tries the bounds more often than what is between them
    return st.integers(0, 19).flatmap(lambda n: ANY if n == 13 else strategy)


def record(**fields):
    """An object whose fields are mostly there and mostly as expected."""
    fields = {key: mostly(value) for key, value in fields.items()}
    return st.integers(0, 19).flatmap(
        lambda n: (
            st.fixed_dictionaries({}, optional=fields)
            if n == 13
            else st.fixed_dictionaries(fields)
        )
    )


def document(strategy):
    """Bytes of a JSON file."""
    return mostly(strategy).map(lambda value: json.dumps(value).encode())


NAMES = st.sampled_from(['a', 'b', 'c.d', '-e_000010'])
INFINITE = [math.inf, -math.inf, 1e308, math.nan]
NUMBERS = st.one_of(st.floats(-1, 2), st.integers(-5, 40), st.sampled_from(INFINITE))
BOXES = st.lists(mostly(st.lists(NUMBERS, min_size=4, max_size=4)), max_size=3)
SIDE = st.integers(0, 6)
RLE = record(
    size=st.tuples(SIDE, SIDE).map(list),
    counts=st.one_of(
        st.lists(st.integers(-1, 20), max_size=4),
        st.text('0123PQ`_oT\x7f', max_size=6),
        st.just([12]),
    ),
)
POLYGONS = st.lists(mostly(st.lists(NUMBERS, min_size=6, max_size=6)), max_size=2)

VGGSS = document(
    st.lists(
        mostly(record(file=NAMES, bbox=BOXES, **{'class': NAMES})),
        max_size=3,
    )
)
AV_JSON = document(
    record(
        metainfo=record(classes=st.lists(NAMES, max_size=2)),
        data_list=st.lists(
            mostly(
                record(
                    sample_id=NAMES | st.sampled_from(['../x', '/x', 'a\nb', 'x/y']),
                    img_path=NAMES,
                    audio_path=NAMES,
                    category=NAMES,
                    bboxes=BOXES,
                    mask=st.none() | RLE,
                )
            ),
            max_size=3,
        ),
    )
)
COCO = document(
    record(
        images=st.lists(
            mostly(
                record(
                    id=st.integers(0, 2),
                    file_name=NAMES.map(lambda name: f'{name}.jpg'),
                    height=st.just(3),
                    width=st.just(4),
                )
            ),
            max_size=3,
        ),
        annotations=st.lists(
            mostly(
                record(
                    image_id=st.integers(0, 2),
                    category_id=st.integers(0, 1),
                    bbox=st.lists(NUMBERS, min_size=4, max_size=4),
                    segmentation=st.one_of(POLYGONS, RLE, st.none()),
                )
            ),
            max_size=3,
        ),
        categories=st.just([{'id': 0, 'name': 'x'}, {'id': 1, 'name': 'y'}]),
    )
)
FIELD = st.one_of(
    NAMES,
    st.sampled_from(
        ['video', 'audio', 'label', 'sounding', 'non-sounding', '"', '"a', '\ufeff']
        + [
            '../x',
            'a.jpg',
            '.jpg',
            ' ',
            '\0',
            '\x1c',
            '\u2028',
            'a\x85b',
            'x' * 140_000,
        ]
    ),
    st.text(max_size=4),
)
ROWS = st.lists(st.lists(FIELD, max_size=4).map(','.join), max_size=4)
PAIRS = st.lists(
    st.tuples(NAMES, NAMES, st.sampled_from(['sounding', 'non-sounding', 'x', ''])),
    max_size=3,
).map(lambda rows: ['video,audio,label', *map(','.join, rows)])
LISTS = st.builds(
    lambda rows, end, coding: end.join(rows).encode(coding, 'surrogatepass'),
    ROWS | PAIRS,
    st.sampled_from(['\n', '\r\n', '\r']),
    st.sampled_from(['utf-8', 'utf-8', 'utf-8-sig', 'utf-16']),
)
TEXTS = st.one_of(
    st.integers(-300, 300).map(str),
    st.sampled_from(['', ' 7 ', '1.5', '1e3', '1_0', '٣', 'nan', '&lt;', '&x;', '&#0;'])
    | st.sampled_from(
        ['9' * 300, '9' * 400, '9' * 5000, '<!--', '<![CDATA[3]]>', '\0', ']]>']
    ),
)
TAGS = st.sampled_from(['xmin', 'ymin', 'xmax', 'id', 'bbox', 'x:y', 'ü', '1', ''])


def element(tag, content):
    """Bytes are made at the end; so this is text."""
    return f'<{tag}>{content}</{tag}>'


NUMBER_ELEMENTS = st.integers(-300, 300).map(lambda n: element('n', n))
BOX_ELEMENTS = st.one_of(
    st.lists(NUMBER_ELEMENTS, min_size=5, max_size=5),
    st.lists(st.builds(element, TAGS, TEXTS), max_size=6),
).map(lambda parts: element('bbox', ''.join(parts)))
XML = st.builds(
    lambda head, people: (head + element('annotation', ''.join(people))).encode(),
    st.sampled_from(
        ['', '', '', '<?xml version="1.0"?>', '<?xml version="1.0" encoding="x"?>', ' ']
        + ['<?xml version="1.0" encoding="utf-16"?>', '<!DOCTYPE a>', '\ufeff']
    ),
    st.lists(
        st.lists(BOX_ELEMENTS, max_size=2).map(lambda b: element('p', ''.join(b))),
        max_size=3,
    ),
)


def read_list(path):
    for clip in read_clip_list(path):
        for name in (clip.frame_id, clip.audio_id):
            inside(name)
            assert name.isprintable()
    read_id_list(path)


def read_xml(path):
    gt_map = rasterize_consensus(read_flickr_xml(path), 8)
    assert set(gt_map.unique().tolist()) <= {0, 0.5, 1}


def read_vggss(path):
    dataset = VGGSSDataset(ann_file=path, labeled=True, lazy_init=True)
    for item in dataset.read_annotations().values():
        assert not any(map(math.isnan, itertools.chain(*item['bboxes'])))


def read_av_json(path):
    dataset = AVJsonDataset(
        ann_file=path, data_root='root', labeled=True, lazy_init=True
    )
    for sample_id, entry in dataset.read_annotations().items():
        inside(sample_id)
        assert sample_id.isprintable()
        for field in ('img_path', 'audio_path'):
            assert entry[field].startswith('root/')
            inside(entry[field])
        assert not any(map(math.isnan, itertools.chain(*entry.get('bboxes') or ())))
        if entry.get('mask') is not None:
            assert list(decode_rle(entry['mask'], path).shape) == entry['mask']['size']


def read_coco(path):
    for label in coco_labels(path).values():
        assert not any(map(math.isnan, itertools.chain(*label['bboxes'])))
        if label['mask'] is not None:
            assert decode_rle(label['mask'], path).shape == (3, 4)


def inside(name):
    assert name
    assert not name.startswith('/')
    assert '..' not in name.replace('\\', '/').split('/')


@pytest.mark.parametrize(
    ('read', 'contents'),
    [
        (read_list, LISTS),
        (read_xml, XML),
        (read_vggss, VGGSS),
        (read_av_json, AV_JSON),
        (read_coco, COCO),
        *((read, st.binary(max_size=60)) for read in (read_list, read_xml, read_vggss)),
    ],
    ids=['list', 'xml', 'vggss', 'av_json', 'coco', 'b-list', 'b-xml', 'b-json'],
)
def test_no_other_error(read, contents, tmp_path_factory, request):
    path = tmp_path_factory.mktemp('fuzz') / 'file'
    messages = []

    @settings(
        max_examples=200,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(contents)
    def attempt(content):
        path.unlink(missing_ok=True)  # ext4 waits for the disk to overwrite
        path.write_bytes(content)
        try:
            read(str(path))
        except DataError as error:
            messages.append(str(error))
        else:
            messages.append('')

    attempt()
    said = [text for text in messages if text]
    assert said
    assert [text for text in said if str(path) not in text] == []
    if not request.node.callspec.id.startswith('b-'):
        assert len(messages) - len(said) >= 15  # not everything was refused
