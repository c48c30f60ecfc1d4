import pytest

from mmxpl.datasets.labels import has_label, labels_within_frame
from mmxpl.utils import DataError

MASK = dict(size=[2, 2], counts='04')
BOX = [0.1, 0.2, 0.3, 0.4]


def test_a_box_or_a_mask_is_a_label():
    assert has_label(dict(bboxes=[BOX]))
    assert has_label(dict(mask=MASK, bboxes=[]))
    assert not has_label(dict(bboxes=[], mask=None))
    assert not has_label({})


def test_boxes_are_clipped_and_what_changed_is_said(logged):
    annotations = dict(
        fine=dict(bboxes=[BOX]),
        wide=dict(bboxes=[[-0.5, 0, 0.5, 2]], mask=MASK),
        flat=dict(bboxes=[BOX, [0.5, 0.5, 0.5, 1]]),
        outside=dict(bboxes=[[1.2, 0, 1.5, 1]]),
        masked=dict(bboxes=[[1.2, 0, 1.5, 1]], mask=MASK),
        unasked=dict(bboxes=[[0, 0, 9, 9]]),
    )
    ids = [i for i in annotations if i != 'unasked']
    assert labels_within_frame(ids, annotations, 'a.json') == dict(
        fine=dict(bboxes=[BOX], mask=None),
        wide=dict(bboxes=[[0, 0, 0.5, 1]], mask=MASK),
        flat=dict(bboxes=[BOX], mask=None),
        masked=dict(bboxes=None, mask=MASK),
    )
    text = logged()
    assert 'a.json: boxes of 3 clips reach out of the frame' in text
    assert '3 boxes without area were dropped' in text
    assert '1 clips have no box left and are left out: outside' in text


def test_nothing_changed_nothing_said(logged):
    labels_within_frame(['a'], dict(a=dict(bboxes=[BOX])), 'a.json')
    assert logged() == ''


def test_pixels_are_refused():
    with pytest.raises(DataError, match=r'a\.json: most boxes reach far beyond 1'):
        labels_within_frame(['a'], dict(a=dict(bboxes=[[10, 20, 99, 80]])), 'a.json')
