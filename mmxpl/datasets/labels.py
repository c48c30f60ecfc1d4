"""What annotations say of clips, brought into their frames."""

import logging
from collections.abc import Mapping, Sequence

from mmengine.logging import print_log

from mmxpl.utils import DataError

from .boxes import clip_boxes, looks_like_pixels
from .id_list import name_some


def has_label(annotation: Mapping) -> bool:
    """Tells whether a clip was annotated at all.

    Args:
        annotation (Mapping): its entry.

    Returns:
        bool: True if it has a box, or a mask.
    """
    return bool(annotation.get('bboxes')) or annotation.get('mask') is not None


def labels_within_frame(
    ids: Sequence[str], annotations: Mapping[str, Mapping], source: str
) -> dict[str, dict]:
    """Clips boxes to the frame and logs what that changed.

    Args:
        ids (Sequence[str]): annotated clips.
        annotations (Mapping[str, Mapping]): by id ``bboxes`` (x1 y1 x2 y2,
            normalised, perhaps outside the frame) and ``mask``, each perhaps absent
            or None.
        source (str): the annotation file, for messages.

    Returns:
        dict[str, dict]: ``bboxes`` and ``mask`` of each clip that has one of them
        left; None for the one it lacks.

    Raises:
        DataError: If the boxes seem to be in pixels.
    """
    given = [box for i in ids for box in annotations[i].get('bboxes') or ()]
    if looks_like_pixels(given):
        raise DataError(
            f'{source}: most boxes reach far beyond 1; they seem to be in '
            'pixels. Divide x by the width and y by the height of the frame.'
        )
    labels, clipped, without_area, empty = {}, [], 0, []
    for i in ids:
        boxes, mask = annotations[i].get('bboxes'), annotations[i].get('mask')
        kept, outside, dropped = clip_boxes(boxes or ())
        without_area += dropped
        if outside:
            clipped.append(i)
        if kept or mask is not None:
            labels[i] = {'bboxes': kept or None, 'mask': mask}
        else:
            empty.append(i)
    report = []
    if clipped:
        report.append(
            f'boxes of {len(clipped)} clips reach out of the frame and were '
            f'clipped ({name_some(clipped)})'
        )
    if without_area:
        report.append(f'{without_area} boxes without area were dropped')
    if empty:
        report.append(
            f'{len(empty)} clips have no box left and are left out: {", ".join(empty)}'
        )
    if report:
        print_log(
            f'{source}: {"; ".join(report)}.',
            logger='current',
            level=logging.WARNING,
        )
    return labels
