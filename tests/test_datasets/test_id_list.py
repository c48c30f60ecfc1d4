import pytest

from mmxpl.datasets.id_list import name_some, read_id_list
from mmxpl.utils import DataError


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
