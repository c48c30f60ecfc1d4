"""Reads the annotations of Flickr-SoundNet: XML files of several annotators."""

import os.path as osp
from collections.abc import Sequence
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import parse
from torch import Tensor

from mmxpl.structures import rasterize_consensus
from mmxpl.utils import DataError

from .boxes import Box
from .media import list_media

FRAME = 256
"""int: side of the square frame, in pixels, in which the boxes were drawn."""


def list_flickr_xml(folder: str) -> dict[str, str]:
    """Lists the annotation files of a folder.

    Args:
        folder (str): Holds one ``ID.xml`` per clip.

    Returns:
        dict[str, str]: Path of the file by id, in the order of the ids.

    Raises:
        DataError: If the folder cannot be listed or holds no such file.
    """
    names = list_media(folder, ('.xml',))
    if not names:
        raise DataError(
            f'{folder}: holds no annotation file ID.xml. Name the folder that the '
            'Flickr-SoundNet annotations were unpacked to.'
        )
    return {i: osp.join(folder, names[i]) for i in sorted(names)}


def read_flickr_xml(path: str) -> list[list[Box]]:
    """Reads the boxes of one clip, annotator by annotator.

    Below the root stands one element for each annotator, and in it any number of
    ``<bbox>`` elements. Their first child is a label; the next four are xmin,
    ymin, xmax and ymax as integers. What has another name is no box. This is how
    LVS, EZ-VSL, SLAVC and SSL-TIE read the files (``load_all_bboxes`` of EZ-VSL's
    ``datasets.py``).

    Args:
        path (str): The file.

    Returns:
        list[list[Box]]: For each annotator the boxes x1 y1 x2 y2 in pixels of a
        frame of :data:`FRAME` pixels; they may reach out of it. An annotator
        who drew none has an empty list.

    Raises:
        DataError: If the file cannot be read, is not XML, declares entities, or
            has a box of another form.
    """
    try:
        # no declared entities, so that a few bytes cannot become gigabytes
        root = parse(path, forbid_dtd=True).getroot()
    except OSError as error:
        raise DataError(
            f'{path}: the annotation cannot be read ({error.strerror}). Restore it or '
            'take the clip out of the list.'
        ) from error
    except DefusedXmlException as error:
        raise DataError(
            f'{path}: the annotation declares a document type or entities, which no '
            'annotation needs. Remove the declaration.'
        ) from error
    except (ParseError, ValueError, LookupError) as error:
        raise DataError(
            f'{path}: the annotation is not XML ({error}). Restore it from the archive.'
        ) from error
    return [
        [
            _parse_box(box, f'{path}: annotator {n}, bbox {k}')
            for k, box in enumerate(annotator.findall('bbox'))
        ]
        for n, annotator in enumerate(root)
    ]


def _parse_box(element: Element, where: str) -> Box:
    """Reads the four integers behind the label."""
    texts = [child.text or '' for child in element][1:]
    try:
        if len(texts) != 4:
            raise ValueError
        return [float(int(text)) for text in texts]
    except (ValueError, OverflowError) as error:
        raise DataError(
            f'{where} must hold a label, then xmin, ymin, xmax and ymax as integers, '
            f'but behind its first child stands {texts}. Correct or remove the box.'
        ) from error


def normalise_annotators(annotators: Sequence[Sequence[Box]]) -> list[Box]:
    """Brings the boxes of all annotators to [0, 1] of the frame.

    Args:
        annotators (Sequence): What :func:`read_flickr_xml` gave.

    Returns:
        list[Box]: All boxes in the order of the annotators, not clipped.
    """
    return [[v / FRAME for v in box] for boxes in annotators for box in boxes]


def consensus_map(annotators: Sequence[Sequence[Box]], size: int = 224) -> Tensor:
    """Draws the consensus that Flickr-SoundNet is evaluated against.

    A pixel counts one half for each box over it, and at most 1 (Senocak et al.,
    Learning to Localize Sound Source in Visual Scenes, CVPR 2018); see
    :func:`mmxpl.structures.rasterize_consensus`.

    Args:
        annotators (Sequence): What :func:`read_flickr_xml` gave.
        size (int): Side of the map in pixels. Defaults to 224.

    Returns:
        Tensor: (size, size) float32, one of 0, 0.5 and 1.
    """
    return rasterize_consensus(annotators, size, FRAME)
