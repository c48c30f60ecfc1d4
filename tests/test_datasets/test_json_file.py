import pytest

from mmxpl.datasets.json_file import read_json
from mmxpl.utils import DataError


def test_a_byte_order_mark_is_no_part_of_the_content(tmp_path):
    path = tmp_path / 'a.json'
    path.write_bytes(b'\xef\xbb\xbf{"name": "\xc3\xa9"}')
    assert read_json(path) == {'name': 'é'}


@pytest.mark.parametrize(
    'content', [b'', b'{"a": ', b'\xff\xfe', b'[' * 100_000, b'{} {}']
)
def test_what_is_no_json_is_said_with_the_file(tmp_path, content):
    path = tmp_path / 'a.json'
    path.write_bytes(content)
    with pytest.raises(DataError, match=r'a\.json: the annotation file is not JSON'):
        read_json(path)


def test_a_missing_file_says_what_to_set(tmp_path):
    with pytest.raises(DataError, match=r'gone\.json: .*MMXPL_DATA_ROOT'):
        read_json(tmp_path / 'gone.json')
    with pytest.raises(DataError, match='cannot be read'):
        read_json(tmp_path)
