import json
from pathlib import Path

import pytest
import torch

from mmxpl.datasets import FlickrSoundNetDataset, read_id_list
from mmxpl.datasets.flickr_soundnet import (
    list_flickr_xml,
    read_flickr_xml,
)
from mmxpl.datasets.id_list import name_list
from mmxpl.evaluation.functional import GroundTruth, score_maps
from mmxpl.structures import rasterize_consensus
from mmxpl.utils import DataError

METADATA = Path(__file__).parents[2].parent / 'shared' / 'metadata'
PIPELINE = [
    {'type': 'LoadFrame', 'size': 8},
    {'type': 'LoadAudio', 'duration': 0.1},
    {'type': 'RasterizeTargets', 'size': 256, 'source': 'consensus'},
    {'type': 'PackAVInputs'},
]


def _write_xml(folder, sample_id, *annotators):
    """Boxes of each annotator, in pixels of 256."""
    folder.mkdir(exist_ok=True)
    people = ''
    for n, boxes in enumerate(annotators):
        corners = ('xmin', 'ymin', 'xmax', 'ymax')
        drawn = ''.join(
            '<bbox><id>1</id>'
            + ''.join(f'<{k}>{v}</{k}>' for k, v in zip(corners, box, strict=True))
            + '</bbox>'
            for box in boxes
        )
        people += f'<person{n}>{drawn}</person{n}>'
    (folder / f'{sample_id}.xml').write_text(f'<annotation>{people}</annotation>')


@pytest.fixture
def flickr(spoilable_world):
    folder = spoilable_world / 'Annotations'
    for n in range(8, 12):
        _write_xml(folder, f'clip-{n:02d}', [(0, 0, 64, 64)], [(32, 0, 96, 64)], [])
    _write_xml(
        folder, 'clip-10', [(0, 0, 128, 256)], [(64, 0, 256, 256)], [(64, 0, 128, 300)]
    )
    return spoilable_world


def _dataset(root, **options):
    return FlickrSoundNetDataset(
        data_root=str(root), **{'id_list': 'test.txt', 'labeled': True, **options}
    )


def test_all_annotators_count(flickr):
    dataset = _dataset(flickr, pipeline=PIPELINE)
    assert dataset.sample_ids == ['clip-10', 'clip-11']
    first, second = (dataset[n]['data_samples'] for n in range(2))
    wanted = torch.full((256, 256), 0.5)
    wanted[:, 64:128] = 1
    assert torch.equal(first.gt_map, wanted)
    assert second.gt_map.unique().tolist() == [0, 0.5, 1]
    assert second.gt_map[:64, 32:64].eq(1).all()
    # boxes of all, clipped to the frame
    assert first.gt_instances.bboxes.tolist() == [
        [0, 0, 0.5, 1],
        [0.25, 0, 1, 1],
        [0.25, 0, 0.5, 1],
    ]
    assert first.category is None


def test_two_visits_give_the_same_target(flickr):
    dataset = _dataset(flickr, pipeline=PIPELINE)
    maps = [dataset[0]['data_samples'].gt_map for _ in range(3)]
    assert all(torch.equal(maps[0], other) for other in maps)


def test_an_unlabeled_set_reads_no_annotation(flickr):
    for path in (flickr / 'Annotations').iterdir():
        path.unlink()
    entry = _dataset(flickr, labeled=False)[0]
    assert entry['bboxes'] is None
    assert 'annotators' not in entry


def test_only_files_of_listed_clips_are_read(flickr):
    (flickr / 'Annotations' / 'clip-08.xml').write_text('<annotation>')
    assert len(_dataset(flickr)) == 2
    with pytest.raises(DataError, match=r'clip-08\.xml'):
        _dataset(flickr, id_list='val.txt')


def test_clips_without_annotation_or_without_box(flickr, logged):
    _write_xml(flickr / 'Annotations', 'clip-11', [(300, 0, 400, 10)], [])
    assert _dataset(flickr).sample_ids == ['clip-10']
    assert 'clip-11' in logged()
    _write_xml(flickr / 'Annotations', 'clip-11', [], [])
    with pytest.raises(DataError, match=r'neither box nor mask.*clip-11'):
        _dataset(flickr)
    (flickr / 'Annotations' / 'clip-11.xml').unlink()
    with pytest.raises(DataError, match=r'neither box nor mask.*clip-11'):
        _dataset(flickr)
    assert _dataset(flickr, missing='skip').sample_ids == ['clip-10']


def test_pairs_that_do_not_sound(flickr):
    (flickr / 'silent.csv').write_text(
        'video,audio,label\nclip-10,clip-00,non-sounding\n'
    )
    dataset = _dataset(flickr, id_list=['test.txt', 'silent.csv'], pipeline=PIPELINE)
    silent = dataset[2]['data_samples']
    assert silent.sample_id == 'clip-10+clip-00'
    assert not silent.gt_map.any()


@pytest.mark.skipif(
    not METADATA.is_dir(), reason=f'the published metadata is not at {METADATA}'
)
@pytest.mark.parametrize(
    ('files', 'name'),
    [
        (['vggss_test.csv'], 'VGG-SS, 5158 clips'),
        (['vggss_heard_test.csv'], 'VGG-SS open set, heard, 2564 clips'),
        (['vggss_unheard_test.csv'], 'VGG-SS open set, unheard, 2575 clips'),
        (
            ['vggss_test.csv', 'vggss_test_plus_silent.csv'],
            'extended VGG-SS, 10316 pairs',
        ),
        (['flickr_test.csv'], 'Flickr-SoundNet, 249 clips'),
        (
            ['flickr_test.csv', 'flickr_test_plus_silent.csv'],
            'extended Flickr-SoundNet, 499 pairs',
        ),
        (['vggss_10k.txt'], None),
    ],
)
def test_published_lists_are_recognised(files, name):
    ids = [i for file in files for i in read_id_list(METADATA / file)]
    assert name_list(ids) == name_list(ids[::-1]) == name
    assert name_list(ids[1:]) is None
    if 'flickr_test.csv' in files:
        with_missing = name_list([*ids, '3908875350'])
        assert with_missing == name.replace('249', '250').replace('499', '500')


# a kilobyte that expands to 10^9 texts
BOMB = (
    '<!DOCTYPE a [<!ENTITY x0 "ha">'
    + ''.join(f'<!ENTITY x{n + 1} "{f"&x{n};" * 10}">' for n in range(9))
    + ']><a>&x9;</a>'
)
GOLDEN = Path(__file__).parents[2].parent / 'shared/golden/localization_metrics.json'


def write_xml(path, annotators):
    """Writes a file of the published form: a label, then the corners."""
    tags = ('xmin', 'ymin', 'xmax', 'ymax')
    body = ''.join(
        '<person><name>x</name>'
        + ''.join(
            '<bbox><id>1</id>'
            + ''.join(f'<{t}>{v}</{t}>' for t, v in zip(tags, box, strict=True))
            + '</bbox>'
            for box in boxes
        )
        + '</person>'
        for boxes in annotators
    )
    path.write_text(f'<?xml version="1.0"?>\n<annotation>{body}</annotation>')
    return str(path)


def test_boxes_by_annotator(tmp_path):
    boxes = [[[1, 2, 30, 40], [5, 6, 7, 8]], [], [[0, 0, 256, 300]]]
    assert read_flickr_xml(write_xml(tmp_path / 'a.xml', boxes)) == boxes
    dataset = FlickrSoundNetDataset(
        ann_file=str(tmp_path), labeled=True, lazy_init=True
    )
    annotation = dataset.read_annotations()['a']
    assert annotation['annotators'] == boxes
    assert annotation['bboxes'][2] == [0, 0, 1, 300 / 256]
    assert len(annotation['bboxes']) == 3


def test_consensus_by_hand(tmp_path):
    path = write_xml(
        tmp_path / 'a.xml', [[[0, 0, 128, 256]], [[64, 0, 256, 128]], [[0, 0, 9, 9]]]
    )
    found = rasterize_consensus(read_flickr_xml(path), 8)
    expected = torch.zeros(8, 8)
    expected[:, :4] += 0.5
    expected[:4, 2:] += 0.5
    assert torch.equal(found, expected)


def test_listing_takes_the_files_of_annotations(tmp_path):
    for name in ('b.xml', 'a.XML', 'c.txt'):
        (tmp_path / name).touch()
    assert list(list_flickr_xml(str(tmp_path))) == ['a', 'b']


@pytest.mark.parametrize(
    ('content', 'said'),
    [
        ('<annotation><person>', 'not XML'),
        ('', 'not XML'),
        ('<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', 'declares'),
        (BOMB, 'declares'),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "/etc/passwd">]><a>&x;</a>', 'declares'),
        ('<a><p><bbox><id/><x>1</x></bbox></p></a>', 'annotator 0, bbox 0'),
        (
            '<a><p/><p><bbox><i/><a>1</a><b>2</b><c>z</c><d>4</d></bbox></p></a>',
            'annotator 1, bbox 0',
        ),
        ('<a><p><bbox><i/><a>1.5</a><b>2</b><c>3</c><d>4</d></bbox></p></a>', '1.5'),
    ],
)
def test_damaged_files_are_named(tmp_path, content, said):
    path = tmp_path / 'damaged.xml'
    path.write_text(content)
    with pytest.raises(DataError, match=said) as caught:
        read_flickr_xml(str(path))
    assert 'damaged.xml' in str(caught.value)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(DataError, match='nothing.xml'):
        read_flickr_xml(str(tmp_path / 'nothing.xml'))
    with pytest.raises(DataError, match='no annotation file'):
        list_flickr_xml(str(tmp_path))


@pytest.mark.skipif(not GOLDEN.is_file(), reason=f'{GOLDEN} is not here')
def test_public_evaluators_agree_on_files(tmp_path):
    golden = json.loads(GOLDEN.read_text())
    samples = [s for s in golden['samples'] if s['kind'] == 'flickr']
    assert samples
    for i, sample in enumerate(samples):
        # in the file a box is [x1, y1, x2, y2] of one annotator
        path = write_xml(tmp_path / f'{i}.xml', [[box] for box in sample['boxes']])
        gt = GroundTruth(rasterize_consensus(read_flickr_xml(path))[None])
        found = score_maps(torch.tensor(sample['map'])[None], gt, ['median', 'fixed'])
        expected = [sample['ciou']['median_ge'], sample['ciou']['fixed_0.5_ge']]
        assert found[0].tolist() == pytest.approx(expected, abs=1e-3)
