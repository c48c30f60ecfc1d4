import pytest

from mmxpl.datasets.synthetic import (
    area_facts,
    box_areas,
    clip_layout,
    describe,
    preset,
    reference_rows,
)


def test_listening_is_needed():
    config = preset('default')
    entries = [describe(clip_layout(config, 'test', i), 'x', 128) for i in range(100)]
    rows = reference_rows(entries, 0.35)
    assert rows['perfect map, 14x14']['adaptive'] >= 95
    assert rows['perfect map, 14x14']['fixed'] >= 95
    assert rows['image-only optimum']['adaptive'] < 70
    assert rows['image-only optimum']['fixed'] < 65
    assert rows['centred disc']['adaptive'] < 40
    # The optimum is one: no fixed habit beats it by more than chance.
    for name in ('largest object', 'one object, at random', 'all objects'):
        for rule in ('adaptive', 'fixed'):
            assert rows[name][rule] <= rows['image-only optimum'][rule] + 5


def test_reference_rows_by_hand():
    boxes = [[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]]
    objects = [dict(bbox=b, sounding=i == 0) for i, b in enumerate(boxes)]
    rows = reference_rows([dict(bboxes=boxes[:1], objects=objects)], 0.0)
    # Half the frame sounds: everything marked gives CIoU 0.5 exactly.
    assert rows['whole image'] == dict(adaptive=100, median=100, fixed=100)
    assert rows['perfect map, 14x14'] == dict(adaptive=100, median=100, fixed=100)
    objects[1]['bbox'] = boxes[1] = [0.5, 0.0, 0.9, 1.0]
    rows = reference_rows([dict(bboxes=boxes[1:], objects=objects)], 0.0)
    assert rows['whole image'] == dict(adaptive=0, median=0, fixed=0)
    assert rows['largest object']['fixed'] == 0


def test_areas_by_hand():
    objects = [dict(bbox=[0, 0, 0.5, 1], sounding=True)]
    objects.append(dict(bbox=[0.5, 0.5, 1, 1], sounding=False))
    areas = box_areas([dict(bboxes=[[0, 0, 0.5, 1]], objects=objects)])
    assert areas == {'ground truth': [0.5], 'sounding': [0.5], 'silent': [0.25]}
    # 32, 96 and 144 pixels of 224 are where the groups meet
    facts = area_facts([0.01, 0.1, 0.3, 0.5])
    assert facts['n'] == 4
    assert facts['mean'] == pytest.approx(0.2275)
    assert [facts[k] for k in ('small', 'medium', 'large', 'huge')] == [0.25] * 4
