"""Reads the layout of Flickr-SoundNet."""

from mmxpl.registry import DATASETS

from .flickr_xml import list_flickr_xml, normalise_annotators, read_flickr_xml
from .id_list import read_clip_list
from .vggss import VGGSSDataset


@DATASETS.register_module()
class FlickrSoundNetDataset(VGGSSDataset):
    """Frames, sounds and the boxes of three annotators as Flickr-SoundNet has them.

    .. code-block:: none

        data_root/
            frames/ID.jpg (.jpeg, .png)
            audio/ID.wav (.flac, .ogg, .mp3)
            Annotations/ID.xml
            train.txt       one id a line, any name

    All annotators count, always: ``annotators`` holds the boxes of each in
    pixels of a frame of 256 x 256, which ``RasterizeTargets(source='consensus')``
    draws as the benchmark does, and ``bboxes`` all of them, normalised. A clip
    in which no annotator drew a box is left out like one without annotation.
    Annotations are read for a labeled set only. Without ``id_list`` every clip
    that has a frame is used, in the order of the ids.

    The annotations: Senocak et al., Learning to Localize Sound Source in Visual
    Scenes, CVPR 2018.

    The arguments are those of :class:`AVDataset`; ``ann_file`` is a folder and
    defaults to ``Annotations``.
    """

    default_ann_file = 'Annotations'

    def read_annotations(self) -> dict[str, dict]:
        """Reads the XML files of the clips that the lists name, else all.

        Returns:
            dict[str, dict]: ``annotators`` and ``bboxes`` by id; empty for an
            unlabeled set.

        Raises:
            DataError: If the folder or a file cannot be used.
        """
        if not self.labeled:
            return {}
        files = list_flickr_xml(self.ann_file)
        if self.id_lists:
            listed = {
                c.frame_id for path in self.id_lists for c in read_clip_list(path)
            }
            files = {i: path for i, path in files.items() if i in listed}
        annotations = {}
        for sample_id, path in files.items():
            annotators = read_flickr_xml(path)
            annotations[sample_id] = {
                'annotators': annotators,
                'bboxes': normalise_annotators(annotators),
            }
        return annotations
