import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mmxpl.datasets.convert.masks import mask_labels
from mmxpl.utils import DataError


def write(path, mask, value=255):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), mask.astype(np.uint8) * value)


@pytest.fixture
def mask():
    mask = np.zeros((20, 30), bool)
    mask[4:9, 6:18] = True
    mask[12, 25] = True
    return mask


def test_mask_and_box_around_it(tmp_path, mask):
    write(tmp_path / 'deep' / 'a.png', mask)
    labels, black = mask_labels(tmp_path)
    assert black == []
    assert np.array_equal(coco_mask.decode(labels['a']['mask']), mask)
    assert labels['a']['bboxes'] == [[6 / 30, 4 / 20, 26 / 30, 13 / 20]]


def test_any_colour_sounds_and_transparency_does_not(tmp_path, mask):
    for channel in range(3):
        picture = np.zeros((*mask.shape, 3), np.uint8)
        picture[mask, channel] = 1
        cv2.imwrite(str(tmp_path / f'{channel}.png'), picture)
    clear = np.zeros((*mask.shape, 4), np.uint8)
    clear[mask, 2] = 200
    clear[:3, :, 3] = 255
    cv2.imwrite(str(tmp_path / 'alpha.png'), clear)
    labels, _ = mask_labels(tmp_path)
    assert len(labels) == 4
    for label in labels.values():
        assert np.array_equal(coco_mask.decode(label['mask']), mask)


def test_black_masks_are_named(tmp_path, mask):
    write(tmp_path / 'a.png', mask)
    write(tmp_path / 'b.png', np.zeros_like(mask))
    labels, black = mask_labels(tmp_path)
    assert list(labels) == ['a']
    assert black == ['b']


def test_what_cannot_be_used_is_named(tmp_path, mask):
    with pytest.raises(DataError, match='holds no mask'):
        mask_labels(tmp_path)
    write(tmp_path / 'one' / 'a.png', mask)
    write(tmp_path / 'two' / 'a.png', mask)
    with pytest.raises(DataError, match=r'two/a\.png and .*one/a\.png.*same id'):
        mask_labels(tmp_path)
    for content, what in ((b'', 'has zero bytes'), (b'no picture', 'is truncated, ')):
        (tmp_path / 'one' / 'a.png').write_bytes(content)
        with pytest.raises(DataError, match=rf'one/a\.png: the mask {what}'):
            mask_labels(tmp_path / 'one')
