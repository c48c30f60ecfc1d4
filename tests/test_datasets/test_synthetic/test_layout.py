import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mmxpl.datasets.synthetic import (
    CLASSES,
    area_facts,
    box_areas,
    clip_layout,
    describe,
    preset,
    visible_masks,
)

pytestmark = pytest.mark.xdist_group('layouts')  # they are drawn once


@pytest.fixture(scope='module')
def entries():
    """Annotations of 300 layouts that are never painted."""
    config = preset('default')
    return [
        describe(clip_layout(config, 'test', i), f'test_{i:05d}', 128)
        for i in range(300)
    ]


def test_every_frame_has_a_silent_object_of_another_class(entries):
    for entry in entries:
        heard = [o['category'] for o in entry['objects'] if o['sounding']]
        silent = [o['category'] for o in entry['objects'] if not o['sounding']]
        assert 2 <= len(entry['objects']) <= 4
        assert 1 <= len(heard) <= 2
        assert silent
        assert not set(heard) & set(silent)
        assert entry['category'] in heard


def test_areas_follow_vgg_ss(entries):
    areas = box_areas(entries)
    truth = area_facts(areas['ground truth'])
    # VGG-SS: mean 0.31, median 0.25; 3, 35, 33 and 29 %.
    assert truth['mean'] == pytest.approx(0.31, abs=0.04)
    assert truth['median'] == pytest.approx(0.25, abs=0.05)
    for name, share in (('small', 0.03), ('medium', 0.35), ('large', 0.33)):
        assert truth[name] == pytest.approx(share, abs=0.09)
    assert truth['huge'] == pytest.approx(0.29, abs=0.09)


def test_nothing_in_the_frame_tells_what_sounds(entries):
    """Within frames, sounding objects rank like silent ones in size and depth."""
    by_size, by_depth = [], []
    for entry in entries:
        objects = entry['objects']
        sizes = [(o['bbox'][2] - o['bbox'][0]) * (o['bbox'][3] - o['bbox'][1])
                 for o in objects]  # fmt: skip
        rank = np.argsort(np.argsort(sizes)) / (len(objects) - 1)
        for depth, o in enumerate(objects):
            if o['sounding']:
                by_size.append(rank[depth])
                by_depth.append(depth / (len(objects) - 1))
    # 0.5 by chance; the standard error is about 0.02.
    assert np.mean(by_size) == pytest.approx(0.5, abs=0.07)
    assert np.mean(by_depth) == pytest.approx(0.5, abs=0.07)


def test_objects_stay_visible():
    config = preset('default')
    for index in range(60):
        layout = clip_layout(config, 'train', index)
        together = visible_masks(layout.objects, 128)
        assert together.sum(0).max() == 1
        for mask, placed in zip(together, layout.objects, strict=True):
            alone = visible_masks([placed], 128)[0]
            assert mask.sum() >= 0.7 * alone.sum()


def test_masks_and_boxes_agree(entries):
    config = preset('default')
    for index in range(40):
        entry = entries[index]
        mask = coco_mask.decode(entry['mask'])
        masks = visible_masks(clip_layout(config, 'test', index).objects, 128)
        boxes, union = [], np.zeros((128, 128), bool)
        for o, m in zip(entry['objects'], masks, strict=True):
            ys, xs = np.nonzero(m)
            tight = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
            np.testing.assert_allclose(np.array(o['bbox']) * 128, tight, atol=1e-3)
            if o['sounding']:
                union |= m
                boxes.append(o['bbox'])
        np.testing.assert_array_equal(mask, union)
        assert entry['bboxes'] == boxes


def test_offscreen_sound_has_no_box_and_stays_out_of_the_test_split():
    config = preset('default', offscreen=1.0)
    entry = describe(clip_layout(config, 'train', 0), 'train_00000', 64)
    assert entry['offscreen']
    assert entry['bboxes'] == []
    assert coco_mask.area(entry['mask']) == 0
    assert entry['category'] not in {o['category'] for o in entry['objects']}
    assert clip_layout(config, 'test', 0).offscreen is None


def test_lookalikes_share_a_shape():
    config = preset('default', lookalikes=1.0)
    for index in range(20):
        objects = clip_layout(config, 'train', index).objects
        shapes = [CLASSES[o.category].shape for o in objects]
        assert len(set(shapes)) < len(shapes)
        assert len({o.category for o in objects}) == len(objects)
