import json
from pathlib import Path

import pytest
import torch

from mmxpl.datasets.flickr_xml import (
    consensus_map,
    list_flickr_xml,
    normalise_annotators,
    read_flickr_xml,
)
from mmxpl.evaluation.functional import GroundTruth, score_maps
from mmxpl.utils import DataError

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
    assert normalise_annotators(boxes)[2] == [0, 0, 1, 300 / 256]


def test_consensus_by_hand(tmp_path):
    path = write_xml(
        tmp_path / 'a.xml', [[[0, 0, 128, 256]], [[64, 0, 256, 128]], [[0, 0, 9, 9]]]
    )
    found = consensus_map(read_flickr_xml(path), 8)
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
        gt = GroundTruth(consensus_map(read_flickr_xml(path))[None])
        found = score_maps(torch.tensor(sample['map'])[None], gt, ['median', 'fixed'])
        expected = [sample['ciou']['median_ge'], sample['ciou']['fixed_0.5_ge']]
        assert found[0].tolist() == pytest.approx(expected, abs=1e-3)
