import csv
import json
import math
from pathlib import Path

import pytest

from mmxpl.datasets import VGGSSDataset
from mmxpl.datasets.annotations import clip_boxes
from mmxpl.utils import DataError

METADATA = Path(__file__).parents[2].parent / 'shared' / 'metadata'


def test_native_layout(tiny_world):
    dataset = VGGSSDataset(data_root=str(tiny_world), id_list='val.txt', labeled=True)
    items = {i['file']: i for i in json.loads((tiny_world / 'vggss.json').read_text())}
    assert dataset.sample_ids == ['clip-08', 'clip-09']
    for n, sample_id in enumerate(dataset.sample_ids):
        entry = dataset[n]
        assert entry['img_path'] == f'{tiny_world}/frames/{sample_id}.jpg'
        assert entry['audio_path'] == f'{tiny_world}/audio/{sample_id}.wav'
        assert entry['bboxes'] == items[sample_id]['bbox']
        assert entry['category'] == items[sample_id]['class']


def test_png_frames_and_other_folders(spoilable_world):
    (spoilable_world / 'frames' / 'clip-00.jpg').rename(
        spoilable_world / 'frames' / 'clip-00.png'
    )
    (spoilable_world / 'frames').rename(spoilable_world / 'images')
    dataset = VGGSSDataset(
        data_root=str(spoilable_world),
        id_list='train.txt',
        data_prefix={'img': 'images'},
    )
    assert dataset[0]['img_path'].endswith('images/clip-00.png')
    assert dataset[1]['img_path'].endswith('images/clip-01.jpg')
    assert '/audio/' in dataset[1]['audio_path']


def test_without_a_list_all_frames_are_used(tiny_world):
    everything = [f'clip-{n:02d}' for n in range(12)]
    common = {'data_root': str(tiny_world), 'fraction': 0.25}
    assert VGGSSDataset(data_root=str(tiny_world)).sample_ids == everything
    labeled = VGGSSDataset(subset='labeled', labeled=True, **common)
    unlabeled = VGGSSDataset(subset='unlabeled', **common)
    assert sorted(labeled.sample_ids + unlabeled.sample_ids) == everything


def test_an_unlabeled_set_needs_no_annotation_file(spoilable_world):
    (spoilable_world / 'vggss.json').unlink()
    assert len(VGGSSDataset(data_root=str(spoilable_world))) == 12
    with pytest.raises(DataError, match=r'vggss\.json.*cannot be read'):
        VGGSSDataset(data_root=str(spoilable_world), labeled=True)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('[{]', 'is not JSON'),
        ('[' * 100_000, 'is not JSON'),
        ('\xff', 'vggss.json'),
        ('{}', 'must hold a list'),
        ('[3]', 'item 0 must be an object'),
        ('[{"class": "a", "bbox": []}]', "item 0, field 'file'"),
        ('[{"file": 7, "class": "a", "bbox": []}]', "item 0, field 'file'"),
        ('[{"file": "a", "class": 7, "bbox": []}]', r"item 0 \('a'\), field 'class'"),
        ('[{"file": "a", "class": "b"}]', r"item 0 \('a'\), field 'bbox'"),
        ('[{"file": "a", "bbox": [[0, 0, NaN, 1]]}]', r"field 'bbox'\[0\] holds NaN"),
        (
            '[{"file": "a", "bbox": []}, {"file": "a", "bbox": []}]',
            r'more than once \(a\)',
        ),
    ],
)
def test_bad_annotations_are_named(spoilable_world, content, message):
    path = spoilable_world / 'vggss.json'
    path.write_bytes(content.encode('latin-1'))
    with pytest.raises(DataError, match=message) as info:
        VGGSSDataset(data_root=str(spoilable_world), labeled=True)
    assert str(path) in str(info.value)


@pytest.mark.skipif(
    not METADATA.is_dir(), reason=f'the published metadata is not at {METADATA}'
)
def test_published_annotations(tmp_path, logged):
    (tmp_path / 'frames').mkdir()
    (tmp_path / 'audio').mkdir()
    with open(METADATA / 'vggss_test.csv', newline='') as file:
        ids = [row[0] for row in csv.reader(file)]
    assert len(ids) == 5158
    for sample_id in ids:
        (tmp_path / 'frames' / f'{sample_id}.jpg').touch()
        (tmp_path / 'audio' / f'{sample_id}.wav').touch()
    dataset = VGGSSDataset(
        data_root=str(tmp_path),
        ann_file=str(METADATA / 'vggss.json'),
        id_list=str(METADATA / 'vggss_test.csv'),
        labeled=True,
        test_mode=True,
    )
    empty = {'M1P1xla8rg0_000000', 'MKC9LvRivTM_000030'}
    assert dataset.metainfo['n_expected'] == 5158
    assert dataset.sample_ids == [i for i in ids if i not in empty]
    log = logged()
    assert 'boxes of 12 clips reach out of the frame' in log
    assert '2 clips have no box left and are left out' in log
    assert all(i in log for i in empty)
    for n in range(len(dataset)):
        for x1, y1, x2, y2 in dataset[n]['bboxes']:
            assert 0 <= x1 < x2 <= 1
            assert 0 <= y1 < y2 <= 1


@pytest.mark.skipif(
    not METADATA.is_dir(), reason=f'the published metadata is not at {METADATA}'
)
def test_published_corrupt_items(tmp_path):
    dataset = VGGSSDataset(
        ann_file=str(METADATA / 'vggss.json'), labeled=True, lazy_init=True
    )
    annotations = dataset.read_annotations()
    assert len(annotations) == 5158
    corrupt = [
        i
        for i, item in annotations.items()
        if any(abs(v) > 1e6 or not math.isfinite(v) for b in item['bboxes'] for v in b)
    ]
    assert len(corrupt) == 12
    kept = [clip_boxes(item['bboxes'])[0] for item in annotations.values()]
    assert sum(not boxes for boxes in kept) == 2


def test_pairs_that_do_not_sound(spoilable_world):
    (spoilable_world / 'silent.csv').write_text(
        'video,audio,label\nclip-10,clip-03,non-sounding\n'
    )
    dataset = VGGSSDataset(
        data_root=str(spoilable_world),
        id_list=['test.txt', 'silent.csv'],
        labeled=True,
        test_mode=True,
        pipeline=[
            {'type': 'LoadFrame', 'size': 8},
            {'type': 'LoadAudio', 'duration': 0.1},
            {'type': 'RasterizeTargets', 'size': 16},
            {'type': 'PackAVInputs'},
        ],
    )
    assert dataset.sample_ids == ['clip-10', 'clip-11', 'clip-10+clip-03']
    assert dataset.metainfo['n_expected'] == 3
    *plain, silent = (dataset[n]['data_samples'] for n in range(3))
    assert all(s.is_sounding and s.gt_map.any() for s in plain)
    assert not silent.is_sounding
    assert not silent.gt_map.any()
    assert silent.gt_map.shape == (16, 16)
    assert silent.gt_instances.bboxes.shape == (0, 4)
    assert silent.img_path.endswith('frames/clip-10.jpg')
    assert silent.audio_path.endswith('audio/clip-03.wav')
    # training on either clip of the pair would be a leak
    assert dataset.list_ids() == ['clip-10', 'clip-11', 'clip-03']


def test_a_pair_without_its_sound_is_missing(spoilable_world):
    (spoilable_world / 'silent.csv').write_text(
        'video,audio,label\nclip-10,clip-03,non-sounding\nclip-10,x,non-sounding\n'
    )
    common = {'data_root': str(spoilable_world), 'id_list': 'silent.csv'}
    with pytest.raises(DataError, match=r'1 have no sound in .*\(clip-10\+x\)'):
        VGGSSDataset(labeled=True, **common)
    dataset = VGGSSDataset(labeled=True, missing='skip', **common)
    assert dataset.sample_ids == ['clip-10+clip-03']
