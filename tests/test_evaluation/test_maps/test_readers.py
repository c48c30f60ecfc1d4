import json
import zipfile

import numpy as np
import pytest
import torch

from mmxpl.evaluation.functional import rasterize_boxes
from mmxpl.evaluation.maps import open_maps, open_truth
from mmxpl.evaluation.prior import load_prior
from mmxpl.utils import DataError


def test_folder_and_archive_hold_the_same(tmp_path):
    maps = {'a': np.random.rand(3, 4), 'sub/b': np.eye(5) > 0}
    for name, one in maps.items():
        path = tmp_path / 'maps' / f'{name}.npy'
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, one)
    np.savez_compressed(tmp_path / 'maps.npz', **maps)
    for source in ('maps', 'maps.npz'):
        found = open_maps(str(tmp_path / source))
        assert found.ids == {'a', 'sub/b'}
        for name, one in maps.items():
            assert torch.equal(found.read(name), torch.from_numpy(one).float())


@pytest.mark.parametrize(
    ('array', 'said'),
    [
        (np.zeros((1, 7, 7)), r'shape \(1, 7, 7\)'),
        (np.zeros((0, 7)), r'shape \(0, 7\)'),
        (np.array([[0.1, np.nan]]), '1 values that are NaN'),
        (np.array([[0.1, np.inf]]), 'NaN or infinite'),
        (np.array([[-0.5, 0.5]]), r'in \[-0.5, 0.5\]'),
        (np.array([[0, 255]], np.uint8), 'x / 255'),
        (np.array([[0j]]), 'real numbers'),
        (np.array([['x']]), 'real numbers'),
        (np.array([[{}]]), 'cannot be read'),  # would be unpickled
    ],
)
def test_bad_map_is_named(tmp_path, array, said):
    np.save(tmp_path / 'clip.npy', array)
    with pytest.raises(DataError, match=said) as caught:
        open_maps(str(tmp_path)).read('clip')
    assert "'clip'" in str(caught.value)


@pytest.mark.parametrize(
    'header',
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (10000000, 100000000), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999999999999, 3), }",
        "{'descr': ",
        '((((((',
    ],
)
def test_a_header_that_lies_is_named(tmp_path, header):
    text = header.ljust(117) + '\n'
    size = len(text).to_bytes(2, 'little')
    content = b'\x93NUMPY\x01\x00' + size + text.encode()
    (tmp_path / 'clip.npy').write_bytes(content)
    with pytest.raises(DataError, match="'clip' cannot be read"):
        open_maps(str(tmp_path)).read('clip')
    with pytest.raises(DataError, match=r'clip\.npy cannot be read'):
        load_prior(str(tmp_path / 'clip.npy'))


def test_damaged_files_are_named(tmp_path):
    (tmp_path / 'clip.npy').write_bytes(b'\x93NUMPY\x01\x00')
    with pytest.raises(DataError, match="'clip' cannot be read"):
        open_maps(str(tmp_path)).read('clip')
    np.savez(tmp_path / 'x.npz', clip=np.zeros((40, 40)))
    data = bytearray((tmp_path / 'x.npz').read_bytes())
    data[400:500] = b'\xff' * 100
    (tmp_path / 'x.npz').write_bytes(data)
    with pytest.raises(DataError, match="'clip' cannot be read"):
        open_maps(str(tmp_path / 'x.npz')).read('clip')


def test_archive_of_something_else(tmp_path):
    with zipfile.ZipFile(tmp_path / 'x.npz', 'w') as archive:
        archive.writestr('clip', b'text')
    with pytest.raises(DataError, match="'clip' is no array"):
        open_maps(str(tmp_path / 'x.npz')).read('clip')
    with (
        pytest.warns(UserWarning, match='clip'),
        zipfile.ZipFile(tmp_path / 'x.npz', 'a') as archive,
    ):
        archive.writestr('clip', b'text')
    with pytest.raises(DataError, match='more than once'):
        open_maps(str(tmp_path / 'x.npz'))


def test_nothing_to_open(tmp_path):
    with pytest.raises(DataError, match='holds no map'):
        open_maps(str(tmp_path))
    (tmp_path / 'text.npz').write_text('no archive')
    for name, message in (('missing', 'does not exist'), ('text.npz', 'is neither')):
        with pytest.raises(DataError, match=f'{name}: {message}'):
            open_maps(str(tmp_path / name))


def test_json_draws_boxes_or_masks(tiny_world):
    path = str(tiny_world / 'annotations.json')
    boxes, masks = open_truth('json', path), open_truth('json', path, 'mask')
    raw = json.loads((tiny_world / 'annotations.json').read_text())['data_list']
    assert list(boxes.categories) == sorted(c['sample_id'] for c in raw)
    clip = raw[3]
    expected = rasterize_boxes(clip['bboxes'])
    drawn = boxes.draw(clip['sample_id'])
    assert torch.equal(drawn, expected)
    inside = masks.draw(clip['sample_id'])
    assert 0.6 < inside.sum() / expected.sum() < 1  # an ellipse in its box
    assert boxes.categories[clip['sample_id']] == clip['category']


def test_vggss_json_and_generic_json_agree(tiny_world):
    one = open_truth('vggss', str(tiny_world / 'vggss.json'))
    other = open_truth('json', str(tiny_world / 'annotations.json'))
    assert one.categories == other.categories
    for name in one.categories:
        assert torch.equal(one.draw(name), other.draw(name))


def test_entries_without_a_target_are_not_expected(spoilable_world):
    path = spoilable_world / 'annotations.json'
    content = json.loads(path.read_text())
    for clip in content['data_list'][:4]:
        clip['mask'] = None
    path.write_text(json.dumps(content))
    assert len(open_truth('json', str(path), 'mask').categories) == 8
    for clip in content['data_list']:
        del clip['mask']
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="no entry has 'mask'"):
        open_truth('json', str(path), 'mask')


def test_pixels_are_refused(tmp_path):
    path = tmp_path / 'vggss.json'
    path.write_text('[{"file": "a", "class": "x", "bbox": [[10, 10, 90, 99]]}]')
    with pytest.raises(DataError, match='in pixels'):
        open_truth('vggss', str(path))


@pytest.mark.parametrize('name', ['vggss', 'flickr'])
def test_only_the_generic_list_has_masks(tiny_world, name):
    with pytest.raises(DataError, match='has boxes only'):
        open_truth(name, str(tiny_world / 'vggss.json'), 'mask')
