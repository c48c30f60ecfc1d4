import json

import pytest
import torch

from mmxpl.evaluation.functional import rasterize_boxes
from mmxpl.evaluation.maps import FORMATS
from mmxpl.utils import DataError


def test_json_draws_boxes_or_masks(tiny_world):
    path = str(tiny_world / 'annotations.json')
    boxes, masks = FORMATS['json'](path), FORMATS['json'](path, 'mask')
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
    one = FORMATS['vggss'](str(tiny_world / 'vggss.json'))
    other = FORMATS['json'](str(tiny_world / 'annotations.json'))
    assert one.categories == other.categories
    for name in one.categories:
        assert torch.equal(one.draw(name), other.draw(name))


def test_entries_without_a_target_are_not_expected(spoilable_world):
    path = spoilable_world / 'annotations.json'
    content = json.loads(path.read_text())
    for clip in content['data_list'][:4]:
        clip['mask'] = None
    path.write_text(json.dumps(content))
    assert len(FORMATS['json'](str(path), 'mask').categories) == 8
    for clip in content['data_list']:
        del clip['mask']
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="no entry has 'mask'"):
        FORMATS['json'](str(path), 'mask')


def test_pixels_are_refused(tmp_path):
    path = tmp_path / 'vggss.json'
    path.write_text('[{"file": "a", "class": "x", "bbox": [[10, 10, 90, 99]]}]')
    with pytest.raises(DataError, match='in pixels'):
        FORMATS['vggss'](str(path))


@pytest.mark.parametrize('name', ['vggss', 'flickr'])
def test_only_the_generic_list_has_masks(tiny_world, name):
    with pytest.raises(DataError, match='has boxes only'):
        FORMATS[name](str(tiny_world / 'vggss.json'), 'mask')
