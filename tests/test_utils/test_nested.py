from mmengine.config import ConfigDict

from mmxpl.utils.nested import children, type_name, walk


def test_children_of_dicts_and_lists_are_named_by_strings():
    assert list(children({'a': 1, 2: 'b'})) == [('a', 1), ('2', 'b')]
    assert list(children([3, None])) == [('0', 3), ('1', None)]
    assert list(children((3,))) == [('0', 3)]
    assert list(children('ab')) == list(children(None)) == []


def test_a_walk_finds_every_value_by_its_path():
    nested = ConfigDict(a=dict(b=[1, dict(c=2)]), d='x')
    found = {'.'.join(path): value for path, value in walk(nested)}
    leaves = {'a.b.0': 1, 'a.b.1.c': 2, 'd': 'x'}
    assert {k: v for k, v in found.items() if k in leaves} == leaves
    assert list(walk({})) == []


def test_a_type_is_named_without_its_scope():
    types = ('Net', 'mmdet.Net', 'a.b.Net', type('Net', (), {}))
    assert {type_name(dict(type=one)) for one in types} == {'Net'}
    assert type_name(dict()) == ''
