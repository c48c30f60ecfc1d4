import json
import os
import unicodedata

import pytest

from mmxpl.datasets import AVJsonDataset
from mmxpl.registry import DATASETS
from mmxpl.utils import DataError


def _rewrite(root, change):
    path = root / 'annotations.json'
    content = json.loads(path.read_text())
    content = change(content) or content
    path.write_text(json.dumps(content))
    return path


def test_reads_the_file(tiny_world):
    dataset = AVJsonDataset(data_root=str(tiny_world), id_list='val.txt', labeled=True)
    content = json.loads((tiny_world / 'annotations.json').read_text())
    raw = content['data_list'][9]
    entry = dataset[1]
    assert dataset.metainfo['classes'] == content['metainfo']['classes']
    assert entry['sample_id'] == raw['sample_id'] == 'clip-09'
    assert entry['img_path'] == f'{tiny_world}/{raw["img_path"]}'
    assert entry['audio_path'] == f'{tiny_world}/{raw["audio_path"]}'
    for key in ('bboxes', 'mask', 'category', 'objects'):
        assert entry[key] == raw[key]


def test_an_unlabeled_set_carries_no_ground_truth(tiny_world):
    entry = AVJsonDataset(data_root=str(tiny_world))[0]
    assert entry['bboxes'] is None
    assert entry['mask'] is None
    assert 'objects' not in entry  # they tell which one sounds
    assert entry['category'] == 'bell'


def test_without_a_list_the_order_is_the_files(spoilable_world):
    _rewrite(spoilable_world, lambda c: c['data_list'].reverse())
    dataset = AVJsonDataset(data_root=str(spoilable_world))
    assert dataset.sample_ids == [f'clip-{n:02d}' for n in reversed(range(12))]
    assert AVJsonDataset(data_root=str(spoilable_world), lazy_init=True).list_ids() == (
        dataset.sample_ids
    )


def test_a_subclass_may_choose_the_clips_and_leave_some_out(tiny_world):
    class Chosen(AVJsonDataset):
        def default_ids(self, annotations):
            return sorted(annotations, reverse=True)[:3]

    class Licensed(AVJsonDataset):
        def find_media(self, clips, annotations):
            frames, sounds, lacking = super().find_media(clips, annotations)
            return frames, sounds, {**lacking, 'no licence': ['clip-03']}

    settings = dict(data_root=str(tiny_world), labeled=True, missing='skip')
    assert Chosen(**settings).sample_ids == ['clip-11', 'clip-10', 'clip-09']
    ids = Licensed(**settings).sample_ids
    assert ids == [f'clip-{n:02d}' for n in range(12) if n != 3]


def test_a_mask_alone_is_a_label(spoilable_world):
    def drop_boxes(content):
        for raw in content['data_list']:
            del raw['bboxes']

    _rewrite(spoilable_world, drop_boxes)
    dataset = AVJsonDataset(data_root=str(spoilable_world), labeled=True)
    assert len(dataset) == 12
    assert dataset[0]['bboxes'] is None
    assert dataset[0]['mask'] is not None


def test_ids_without_entry_or_file_are_named(spoilable_world):
    (spoilable_world / 'train.txt').write_text('clip-00\nghost\nclip-01\nclip-02\n')
    (spoilable_world / 'frames' / 'clip-01.jpg').unlink()
    (spoilable_world / 'audio' / 'clip-02.wav').unlink()
    options = {'data_root': str(spoilable_world), 'id_list': 'train.txt'}
    with pytest.raises(DataError) as info:
        AVJsonDataset(labeled=True, **options)
    message = str(info.value)
    assert '3 of 4 ids' in message
    assert 'annotations.json (ghost)' in message
    assert 'has it (clip-01)' in message
    assert 'has it (clip-02)' in message
    dataset = AVJsonDataset(labeled=True, missing='skip', **options)
    assert dataset.sample_ids == ['clip-00']


def test_names_of_macos_are_the_same_names(spoilable_world):
    apart, composed = unicodedata.normalize('NFD', 'glocké'), 'glock\xe9'
    assert apart != composed
    os.rename(
        spoilable_world / 'frames' / 'clip-00.jpg',
        spoilable_world / 'frames' / f'{composed}.jpg',
    )

    def rename(content):
        content['data_list'][0]['sample_id'] = apart
        content['data_list'][0]['img_path'] = f'frames/{apart}.jpg'

    _rewrite(spoilable_world, rename)
    (spoilable_world / 'ids.txt').write_text(f'{composed}\n')
    dataset = AVJsonDataset(data_root=str(spoilable_world), id_list='ids.txt')
    assert dataset.sample_ids == [composed]
    assert os.path.exists(dataset[0]['img_path'])


def test_the_time_of_the_frame(spoilable_world):
    def add(content):
        for n, entry in enumerate(content['data_list'][:2]):
            entry['frame_time'] = n - 0.25

    _rewrite(spoilable_world, add)
    dataset = AVJsonDataset(data_root=str(spoilable_world))
    assert [dataset[n]['frame_time'] for n in range(3)] == [-0.25, 0.75, None]


def test_a_labeled_set_beside_clips_without_classes(spoilable_world):
    content = json.loads((spoilable_world / 'annotations.json').read_text())
    content['metainfo'] = {'task_name': 'avsl'}
    (spoilable_world / 'clips.json').write_text(json.dumps(content))
    sets = [
        dict(type='AVJsonDataset', data_root=str(spoilable_world), **options)
        for options in (dict(labeled=True), dict(ann_file='clips.json'))
    ]
    both = DATASETS.build(dict(type='ConcatDataset', datasets=sets))
    assert len(both) == 24
    assert both.metainfo['classes'] == ['bell', 'drum', 'horn']


def test_own_prefix(spoilable_world):
    def shorten(content):
        for raw in content['data_list']:
            raw['img_path'] = raw['img_path'].removeprefix('frames/')

    _rewrite(spoilable_world, shorten)
    dataset = AVJsonDataset(
        data_root=str(spoilable_world), data_prefix={'img': 'frames'}
    )
    assert dataset[0]['img_path'] == f'{spoilable_world}/frames/clip-00.jpg'


@pytest.mark.parametrize(
    'content',
    ['[]', '3', '{}', '{"metainfo": {}}', '{"metainfo": [], "data_list": []}'],
)
def test_another_structure_is_refused(spoilable_world, content):
    (spoilable_world / 'annotations.json').write_text(content)
    with pytest.raises(DataError, match=r"annotations\.json must be.*'metainfo'"):
        AVJsonDataset(data_root=str(spoilable_world))


@pytest.mark.parametrize(
    ('field', 'value', 'message'),
    [
        ('sample_id', None, "field 'sample_id'"),
        ('sample_id', 5, "field 'sample_id'"),
        ('sample_id', 'clip-00', r'more than once \(clip-00\)'),
        ('sample_id', '../../x', r"data_list\[3\], field 'sample_id': .* leads out"),
        ('sample_id', '/etc/x', 'leads out of the data folder'),
        ('sample_id', 'a\nb', "field 'sample_id': .* control characters"),
        ('category', ['bell'], r"\('clip-03'\), field 'category'"),
        ('frame_time', 'soon', "field 'frame_time' must be seconds"),
        ('frame_time', float('nan'), "field 'frame_time' must be seconds"),
        ('frame_time', True, "field 'frame_time' must be seconds"),
        ('img_path', None, "field 'img_path' must be a file's path"),
        ('img_path', '../frames/clip-03.jpg', "field 'img_path': .* leads out"),
        ('audio_path', '/etc/passwd', "field 'audio_path': .* leads out"),
        ('audio_path', 4, "field 'audio_path'"),
        ('bboxes', 'all', "field 'bboxes'"),
        ('bboxes', [[0, 0, float('nan'), 1]], r"field 'bboxes'\[0\] holds NaN"),
        ('bboxes', [[0, 0, 1]], r"field 'bboxes'\[0\] must be four numbers"),
        ('mask', 'abc', "field 'mask' must be a COCO"),
        ('mask', {'size': [4, 'x'], 'counts': ''}, "field 'mask' must be a COCO"),
    ],
)
def test_wrong_fields_are_named(spoilable_world, field, value, message):
    path = _rewrite(
        spoilable_world, lambda c: c['data_list'][3].__setitem__(field, value)
    )
    with pytest.raises(DataError, match=message) as info:
        AVJsonDataset(data_root=str(spoilable_world), labeled=True)
    assert str(path) in str(info.value)
    if field != 'sample_id':
        assert 'data_list[3]' in str(info.value)


def test_an_entry_that_is_no_object_is_named(spoilable_world):
    _rewrite(spoilable_world, lambda c: c['data_list'].insert(2, 'x'))
    with pytest.raises(DataError, match=r'data_list\[2\] must be an object'):
        AVJsonDataset(data_root=str(spoilable_world))


def test_a_pair_that_does_not_sound_has_no_label(spoilable_world):
    def add(content):
        (entry,) = (e for e in content['data_list'] if e['sample_id'] == 'clip-10')
        content['data_list'].append({**entry, 'sample_id': 'clip-10+clip-03'})

    _rewrite(spoilable_world, add)
    (spoilable_world / 'silent.csv').write_text(
        'video,audio,label\nclip-10,clip-03,non-sounding\n'
    )
    (entry,) = AVJsonDataset(
        data_root=str(spoilable_world), id_list='silent.csv', labeled=True
    )
    assert not entry['is_sounding']
    assert entry['bboxes'] == []
    assert entry['mask'] is None


def _many(odd):
    """Clips of which every hundredth has something odd."""
    clips = [
        dict(
            sample_id=f'clip{n}',
            img_path=f'frames/{n}.jpg',
            audio_path=f'audio/{n}.wav',
            category=f'class {n % 3}',
            bboxes=[[0.1, 0.2, 0.3, 0.4]] * (n % 3),
        )
        for n in range(1000)
    ]
    for clip in clips[50::100]:
        clip.update(odd)
    return clips


@pytest.mark.parametrize(
    'odd',
    [
        {},
        dict(sample_id='e\u0301', img_path='./a//é.jpg'),
        dict(bboxes=[[0, 0.2, 1, 1]], frame_time=3, mask=dict(size=[1, 1], counts='1')),
        dict(bboxes=None, category=None, frame_time=None, mask=None),
    ],
)
def test_many_clips_are_read_as_single_ones(tmp_path, monkeypatch, odd):
    path = tmp_path / 'a.json'
    clips = [
        dict(clip, sample_id=f'{clip["sample_id"]}-{n}')
        for n, clip in enumerate(_many(odd))
    ]
    path.write_text(json.dumps(dict(metainfo={}, data_list=clips)))
    dataset = AVJsonDataset(
        ann_file=str(path), data_prefix=dict(img='x'), lazy_init=True
    )
    found = dataset.read_annotations()
    monkeypatch.setattr(AVJsonDataset, '_parse_plain', lambda *_: None)
    assert found == dataset.read_annotations()
    assert list(map(type, found.values())) == [dict] * 1000


@pytest.mark.parametrize(
    'odd',
    [
        dict(sample_id='../x'),
        dict(sample_id='a\nb'),
        dict(img_path='a/../../b.jpg'),
        dict(audio_path='/x.wav'),
        dict(category=3),
        dict(frame_time=1e9),
        dict(bboxes=0),
        dict(bboxes=[[0.1, 0.2, 0.3]]),
        dict(bboxes=[[0.1, 0.2, 0.3, True]]),
        dict(mask={}),
    ],
)
def test_the_first_wrong_clip_of_many_is_named(tmp_path, odd):
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(dict(metainfo={}, data_list=_many({}) + _many(odd))))
    with pytest.raises(DataError, match=rf'data_list\[1050\].*{next(iter(odd))}'):
        AVJsonDataset(
            data_root=str(tmp_path), ann_file='a.json', lazy_init=True
        ).read_annotations()
