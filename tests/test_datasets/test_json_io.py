import json
from types import SimpleNamespace

import pytest

from mmxpl.datasets import json_io
from mmxpl.datasets.json_io import iter_json, read_json
from mmxpl.utils import DataError


@pytest.mark.parametrize('text', ['[1, [2], {"a": "]"}]', ' [ 1,[2] ,{"a":"]"}\n]\n'])
def test_items_of_a_list_come_one_by_one(tmp_path, text):
    (tmp_path / 'a.json').write_text(text)
    (tmp_path / 'b.json').write_text('{"x": 3, "list": ' + text + ', "y": {}}')
    items, others = [1, [2], {'a': ']'}], {}
    assert list(iter_json(tmp_path / 'a.json', 'be a list')) == items
    assert list(iter_json(tmp_path / 'b.json', 'f', 'list', others)) == items
    assert others == dict(x=3, y={})


@pytest.mark.parametrize('indent', [None, 1])
def test_long_lists_are_the_same_in_pieces(tmp_path, indent):
    items = [
        {'n': n, 'list': [{'a': 1}, {'text': '}, {'}] * (n % 3), 'x' * 999: {'b': {}}}
        for n in range(3000)
    ]
    content, others = {'a': [{}, {}], 'list': items, 'c': [{'d': 1}, {}]}, {}
    (tmp_path / 'a.json').write_text(json.dumps(content, indent=indent))
    assert list(iter_json(tmp_path / 'a.json', 'f', 'list', others)) == items
    assert others == {'a': [{}, {}], 'c': [{'d': 1}, {}]}
    (tmp_path / 'a.json').write_text(json.dumps(items)[:-2000] + '}, {]')
    with pytest.raises(DataError, match=r'a\.json: the annotation file is not JSON'):
        list(iter_json(tmp_path / 'a.json', 'f'))


@pytest.mark.parametrize('piece', [1, 2, 3, 8])
@pytest.mark.parametrize('gap', ['', '\n\n\n\n '])
def test_what_is_read_may_end_anywhere(tmp_path, monkeypatch, piece, gap):
    monkeypatch.setattr(json_io, '_PIECE', piece)
    items = [{'a': 1e-5, 'b': [{}, {'c': '}, {'}]}, 12.25, True, {'d': -1.5e300}, {}]
    content, others = {'a': -1e25, 'list': items, 'b': {'c': [1, 2]}}, {}
    text = json.dumps(content, separators=(f'{gap},{gap}', f'{gap}:{gap}'))
    (tmp_path / 'a.json').write_text(f'{gap}{text}{gap}')
    assert list(iter_json(tmp_path / 'a.json', 'f', 'list', others)) == items
    assert others == {'a': -1e25, 'b': {'c': [1, 2]}}
    for cut in range(0, len(text), 7):
        (tmp_path / 'a.json').write_text(text[:cut])
        with pytest.raises(DataError, match='is not JSON'):
            list(iter_json(tmp_path / 'a.json', 'f', 'list', {}))


@pytest.mark.parametrize(
    'text', ['[1', '[1,]', '[1 2]', '[1]]', '["\\x"]', '', '[' * 9999]
)
def test_a_list_that_is_no_json_is_refused(tmp_path, text):
    (tmp_path / 'a.json').write_text(text)
    with pytest.raises(DataError, match=r'a\.json: the annotation file is not JSON'):
        list(iter_json(tmp_path / 'a.json', 'be a list'))


@pytest.mark.parametrize(
    'text', ['3', '[]', '{}', '{"list": {}}', '{"list": [1], "list": [2]}']
)
def test_a_list_that_is_not_there_is_refused(tmp_path, text):
    (tmp_path / 'a.json').write_text(text)
    with pytest.raises(DataError, match=r'a\.json must have a list'):
        list(iter_json(tmp_path / 'a.json', 'have a list', 'list', {}))


@pytest.mark.parametrize('key', ['1', 'null', '[1]', '{}'])
def test_keys_are_strings(tmp_path, key):
    (tmp_path / 'a.json').write_text('{"list": [1], ' + key + ': 2}')
    with pytest.raises(DataError, match=r'a\.json: the annotation file is not JSON'):
        list(iter_json(tmp_path / 'a.json', 'have a list', 'list', {}))


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
    with pytest.raises(
        DataError, match=r'gone\.json: .*Name an existing file.*MMXPL_DATA_ROOT'
    ):
        read_json(tmp_path / 'gone.json')
    with pytest.raises(DataError, match='cannot be read'):
        read_json(tmp_path)


def test_a_list_without_objects_is_searched_for_them_once(tmp_path, monkeypatch):
    searched = []

    def search(text, place):
        searched.append(place)

    monkeypatch.setattr(json_io, '_NEXT', SimpleNamespace(search=search))
    (tmp_path / 'a.json').write_text(json.dumps([[1], [2], [3]]))
    assert list(json_io.iter_json(tmp_path / 'a.json', 'be a list')) == [[1], [2], [3]]
    assert len(searched) == 1
