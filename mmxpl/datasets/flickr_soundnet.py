"""Flickr-SoundNet: its data set and its annotations in XML."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import parse

from mmxpl.registry import DATASETS
from mmxpl.structures.geometry import FRAME
from mmxpl.utils import DataError

from .annotations import Box
from .id_list import read_clip_list
from .media import list_media, media_paths
from .vggss import VGGSSDataset


@DATASETS.register_module()
class FlickrSoundNetDataset(VGGSSDataset):
    """Frames, sounds and the boxes of three annotators in Flickr-SoundNet's layout.

    .. code-block:: none

        data_root/
            frames/ID.jpg (.jpeg, .png)
            audio/ID.wav (.flac, .ogg, .mp3)
            Annotations/ID.xml
            train.txt       one id a line, any name

    ``annotators`` holds the boxes of each annotator in pixels of a frame of 256 x 256,
    which ``RasterizeTargets(source='consensus')`` draws as the benchmark does;
    ``bboxes`` holds all of them, normalised. A clip in which no annotator drew a box is
    treated like one without annotation. Annotations are read for a labeled set only.
    Without ``id_list``, every clip that has a frame is used, in the order of the ids.

    The annotations are those of Senocak et al., Learning to Localize Sound Source in
    Visual Scenes, CVPR 2018.

    The arguments are those of :class:`AVDataset`; ``ann_file`` is a folder and defaults
    to ``Annotations``.
    """

    default_ann_file = 'Annotations'

    def iter_annotations(self) -> Iterator[tuple[str, dict]]:
        """Reads the XML files of the clips in the lists, or all without a list.

        Yields:
            tuple[str, dict]: Id, and ``annotators`` and ``bboxes``; nothing for an
            unlabeled set.
        """
        if not self.labeled:
            return
        files = list_flickr_xml(self.ann_file)
        if self.id_lists:
            listed = {
                c.frame_id for path in self.id_lists for c in read_clip_list(path)
            }
            files = {i: path for i, path in files.items() if i in listed}
        for sample_id, path in files.items():
            annotators = read_flickr_xml(path)
            yield (
                sample_id,
                {
                    'annotators': annotators,
                    # all boxes in the order of the annotators, not clipped
                    'bboxes': [[v / FRAME for v in b] for bs in annotators for b in bs],
                },
            )


def list_flickr_xml(folder: str) -> dict[str, str]:
    """Lists the annotation files ``ID.xml`` of a folder, sorted by id."""
    ends = list_media(folder, ('.xml',))
    if not ends:
        raise DataError(
            f'{folder}: holds no annotation file ID.xml. Name the folder that the '
            'Flickr-SoundNet annotations were unpacked to.'
        )
    paths = media_paths(folder, ends, ends.values())
    return dict(sorted(zip(ends, paths, strict=True)))


def read_flickr_xml(path: str) -> list[list[Box]]:
    """Reads the boxes of one clip, annotator by annotator.

    The root has one child for each annotator with any number of ``<bbox>`` elements.
    Their first child is a label; the next four are xmin, ymin, xmax and ymax as
    integers. Other elements are ignored, as in LVS, EZ-VSL, SLAVC and SSL-TIE
    (``load_all_bboxes`` of EZ-VSL's ``datasets.py``). What is no such XML, or declares
    entities, is a DataError.

    Returns:
        list[list[Box]]: For each annotator the boxes x1 y1 x2 y2 in pixels of a frame
        of side ``FRAME``, possibly none; they may reach out of the frame.
    """
    try:
        # no declared entities: a few bytes could expand to gigabytes
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
            f'but after its first child it has {texts}. Correct or remove the box.'
        ) from error
