"""Looks at the boxes of an annotation file."""

from collections.abc import Collection, Mapping

from mmxpl.utils import DataError

from ..annotations import clip_boxes, decode_rle
from ..image_io import image_size, same_shape


def check_annotations(
    annotations: Mapping[str, dict], evaluated: Collection[str] = ()
) -> dict:
    """Looks for boxes and masks that cannot be what was meant.

    Args:
        annotations (Mapping[str, dict]): by id, ``bboxes`` (normalised) and
            ``mask``, each perhaps absent or None.
        evaluated (Collection[str]): ids of validation and test clips, which
            need an annotation.

    Returns:
        dict: ``count`` of clips, ``boxes`` in all, and ids of clips with boxes
        that reach out of the frame (``out_of_range``), with boxes without area
        within it (``without_area``), with nothing left within the frame
        (``empty``), with a mask that cannot be decoded or covers nothing
        (``bad_mask``), and evaluated ones without annotation
        (``unannotated``).
    """
    out_of_range, without_area, empty, bad_mask = [], [], [], []
    for sample_id, annotation in annotations.items():
        kept, outside, dropped = clip_boxes(annotation.get('bboxes') or ())
        if outside:
            out_of_range.append(sample_id)
        if dropped:
            without_area.append(sample_id)
        mask = annotation.get('mask')
        if mask is not None and not _covers_something(mask, sample_id):
            bad_mask.append(sample_id)
        elif mask is None and not kept and annotation.get('bboxes') is not None:
            empty.append(sample_id)
    return dict(
        count=len(annotations),
        boxes=sum(len(a.get('bboxes') or ()) for a in annotations.values()),
        out_of_range=out_of_range,
        without_area=without_area,
        empty=empty,
        bad_mask=bad_mask,
        unannotated=sorted(set(evaluated) - set(annotations)),
    )


def check_shapes(
    annotations: Mapping[str, dict], frames: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    """Compares the pictures that were annotated with the frames.

    Args:
        annotations (Mapping[str, dict]): by id, with ``height`` and ``width`` of the
            picture, or with a ``mask``, where they are known.
        frames (Mapping[str, str]): file of each clip.

    Returns:
        tuple[list[str], dict[str, str]]: Ids of clips whose picture is turned or has
        bars, as its proportions show; and reasons by id where a frame cannot be read.
    """
    other, unreadable = [], {}
    for sample_id, annotation in annotations.items():
        size = (annotation.get('height'), annotation.get('width'))
        if not all(type(side) is int and side > 0 for side in size):
            size = tuple((annotation.get('mask') or {}).get('size', ()))
        if len(size) != 2 or sample_id not in frames:
            continue
        try:
            if not same_shape(size, image_size(frames[sample_id])):
                other.append(sample_id)
        except DataError as error:
            unreadable[sample_id] = str(error)
    return other, unreadable


def _covers_something(mask: dict, sample_id: str) -> bool:
    """Tells whether a run-length encoding holds a mask with an area."""
    try:
        return bool(decode_rle(mask, sample_id).any())
    except DataError:
        return False
