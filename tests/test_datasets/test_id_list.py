from pathlib import Path

import pytest

from mmxpl.datasets.id_list import (
    Clip,
    format_list,
    handle_missing,
    name_some,
    plain_clip,
    plain_clips,
    read_clip_list,
    read_id_list,
)
from mmxpl.utils import DataError

METADATA = Path(__file__).parents[2].parent / 'shared' / 'metadata'
needs_metadata = pytest.mark.skipif(
    not METADATA.is_dir(), reason=f'the published metadata is not at {METADATA}'
)


def _write(tmp_path, content: bytes):
    path = tmp_path / 'list.txt'
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    'content',
    [
        b'a-1\n.b.2\n-c\n',
        b'a-1\r\n.b.2\r\n-c\r\n',
        b'a-1\r.b.2\r-c',
        b'\xef\xbb\xbfa-1\n\n .b.2 \n-c\n\n',
        b'a-1,202\r\n.b.2,0\r\n-c,\r\n',
        b'a-1.jpg\n.b.2.WAV\n-c.Png',
        b'"a-1","x, y"\n".b.2",z\n-c,1\n',
    ],
    ids=['unix', 'dos', 'mac', 'bom-blank-spaces', 'columns', 'suffixes', 'quotes'],
)
def test_every_form_gives_the_same_ids(tmp_path, content):
    assert read_id_list(_write(tmp_path, content)) == ['a-1', '.b.2', '-c']


def test_a_list_gives_back_what_was_written(tmp_path):
    path = tmp_path / 'list.txt'
    plain = plain_clips(['a', 'Paris, day 1', '"hi" he said', 'x.mp4', 'video', '#'])
    pair = Clip('a, b+c', 'a, b', 'c', False)
    for clips in (plain, [*plain, pair], []):
        text = format_list(clips, path)
        path.write_text(text)
        assert (read_clip_list(path) if clips else []) == clips
    for bad in (' lead', 'trail ', 'take.wav', 'x.JPG', 'a\nb', 'glocke\u0301', ''):
        with pytest.raises(DataError, match=r'list\.txt: a list cannot hold 1 ids'):
            format_list([*plain, plain_clip(bad)], path)


def test_duplicates_are_refused_by_name(tmp_path):
    path = _write(tmp_path, b'a\nb.jpg\nc\nb.wav\na\n')
    with pytest.raises(DataError, match=r'2 ids occur more than once \(a, b\)') as info:
        read_id_list(path)
    assert str(path) in str(info.value)


@pytest.mark.parametrize(
    'bad', ['../x', 'a/../../x', '/etc/passwd', '..\\x', '..', '../x.jpg', '.', '/']
)
def test_ids_that_leave_the_folder_are_refused(tmp_path, bad):
    path = _write(tmp_path, f'ok\n{bad}\n'.encode())
    with pytest.raises(DataError, match='row 2.*leads out of the data folder'):
        read_id_list(path)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'holds no id'),
        (b'\r\n \r\n', 'holds no id'),
        (b'a\n,b\n', 'row 2: an id is empty'),
        (b'.jpg\n', 'row 1: an id is empty'),
        (b'\xff\xfe\x00a', 'not UTF-8'),
        (b'a\nb\x00c\n', 'list.txt'),
        (b'a\nb\x07c\n', 'control characters'),
        (b'"' + b'x' * 200_000, 'not plain text'),
    ],
)
def test_what_is_no_list_is_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_id_list(_write(tmp_path, content))


def test_a_missing_list_is_named(tmp_path):
    with pytest.raises(DataError, match=r'none\.txt.*cannot be read'):
        read_id_list(tmp_path / 'none.txt')


def test_name_some():
    assert name_some(list('abc')) == 'a, b, c'
    assert name_some(list('abcdefg')) == 'a, b, c, d, e, ...'


def test_pairs_that_do_not_sound(tmp_path):
    path = _write(
        tmp_path,
        b'video,audio,label\r\na.jpg,b,non-sounding\r\na,a,sounding\r\nc,c,non-sounding\r\n',
    )
    pairs = read_clip_list(path)
    assert pairs == [
        ('a+b', 'a', 'b', False),
        ('a', 'a', 'a', True),
        ('c+c', 'c', 'c', False),
    ]
    assert read_id_list(path) == ['a+b', 'a', 'c+c']


@pytest.mark.parametrize(
    ('row', 'message'),
    [
        (b'a,b', 'row 2: .*three fields.*got 2'),
        (b'a,b,silent', "row 2: the label must be .* got 'silent'"),
        (b'a,b,sounding', "row 2: 'a' is labeled as sounding with the sound of 'b'"),
        (b'a,../b,non-sounding', 'row 2.*leads out of the data folder'),
        (b'', 'holds no id'),
    ],
)
def test_bad_pairs_are_named(tmp_path, row, message):
    path = _write(tmp_path, b'\xef\xbb\xbfvideo,audio,label\n' + row + b'\n')
    with pytest.raises(DataError, match=message) as info:
        read_clip_list(path)
    assert str(path) in str(info.value)


@needs_metadata
@pytest.mark.parametrize(
    ('name', 'count', 'same'), [('flickr', 250, 0), ('vggss', 5158, 379)]
)
def test_published_pairs(name, count, same):
    pairs = read_clip_list(METADATA / f'{name}_test_plus_silent.csv')
    assert len({pair.sample_id for pair in pairs}) == len(pairs) == count
    assert not any(pair.is_sounding for pair in pairs)
    assert sum(pair.frame_id == pair.audio_id for pair in pairs) == same


LACKING = {'no frame': ['a', 'b'], 'no sound': ['b', 'c'], 'no box': []}


def test_refused_with_counts_reasons_and_remedy():
    with pytest.raises(DataError) as caught:
        handle_missing(LACKING, 'error', 9, 'list.txt')
    text = str(caught.value)
    # a clip that lacks both counts once
    assert text.startswith('3 of 9 ids of list.txt cannot be used')
    assert '2 have no frame (a, b)' in text
    assert '2 have no sound (b, c)' in text
    assert 'no box' not in text
    assert "missing='skip'" in text


def test_left_out_and_every_one_named(logged):
    many = [f'clip{i}' for i in range(50)]
    handle_missing({'no frame': many}, 'skip', 99, 'list.txt')
    text = logged()
    assert '50 of 99 ids of list.txt are left out' in text
    assert all(name in text for name in many)


@pytest.mark.parametrize('policy', ['error', 'skip'])
def test_nothing_missing_nothing_said(policy, logged):
    handle_missing({'no frame': []}, policy, 9, 'list.txt')
    assert logged() == ''
