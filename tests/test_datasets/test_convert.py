import csv
import json
import os

import cv2
import numpy as np
import pytest
import soundfile
from pycocotools import mask as coco_mask

from mmxpl.datasets.annotations import decode_rle
from mmxpl.datasets.convert import (
    check_sizes,
    coco_labels,
    convert_batch,
    mask_labels,
    write_image,
    write_wav,
)
from mmxpl.utils import DataError


@pytest.fixture
def batch(tmp_path):
    """Runs a batch of clips that write one file each, and counts the calls."""
    calls = []

    def batch(ids, bad=(), settings=None, workers=1, error=DataError):
        def convert(sample_id):
            calls.append(sample_id)
            if sample_id in bad:
                raise error(f'{sample_id} is bad, "really"')
            (tmp_path / sample_id).write_text('x')

        result = convert_batch(
            tmp_path,
            ids,
            lambda i: (tmp_path / i).is_file(),
            convert,
            settings or {'rate': 1},
            workers,
        )
        made, calls[:] = list(calls), []
        return result, made

    batch.calls = calls
    return batch


@pytest.mark.parametrize('workers', [1, 3])
def test_bad_clips_are_listed_and_tried_again(batch, tmp_path, workers):
    result, made = batch(list('abcd'), bad='bd', workers=workers)
    assert sorted(made) == list('abcd')
    assert result.done == ['a', 'c']
    assert set(result.failed) == {'b', 'd'}
    with open(tmp_path / 'failed.csv', newline='') as file:
        rows = [['sample_id', 'reason'], ['b', 'b is bad, "really"']]
        assert list(csv.reader(file))[:2] == rows
    assert '2 complete (0 of them from an earlier run), 2 failed' in str(result)
    result, made = batch(list('abcd'), bad='d', workers=workers)
    assert sorted(made) == ['b', 'd']
    assert (result.done, result.already) == (['a', 'b', 'c'], 2)
    assert (tmp_path / 'failed.csv').read_text().count('\n') == 2


def test_an_interrupted_run_goes_on(batch, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        batch(list('abcd'), bad='c', error=KeyboardInterrupt)
    assert batch.calls == ['a', 'b', 'c']
    batch.calls.clear()
    (tmp_path / 'audio').mkdir()
    drafts = [tmp_path / '.c.123.tmp', tmp_path / 'audio/.c.wav.123.tmp']
    for draft in drafts:
        draft.touch()  # of a run that was killed while it wrote
    result, made = batch(list('abcd'))
    assert made == ['c', 'd']
    assert result.done == list('abcd')
    assert not any(draft.exists() for draft in drafts)


def test_other_settings_are_not_mixed_in(batch, tmp_path):
    batch(['a'])
    with pytest.raises(DataError, match=r'convert\.json.* \(rate=1, now 2\)'):
        batch(['b'], settings={'rate': 2})
    with pytest.raises(DataError, match=r' \(rate=1, now None; size=None, now 3\)'):
        batch(['b'], settings={'size': 3})
    assert batch.calls == []
    (tmp_path / 'convert.json').write_text('{"rate"')
    with pytest.raises(DataError, match=r'convert\.json'):
        batch(['b'])


@pytest.mark.parametrize('workers', [1, 2])
def test_a_full_disk_ends_the_run(tmp_path, monkeypatch, workers):
    tried = []

    def convert(sample_id):
        tried.append(sample_id)
        write_wav(tmp_path / f'{sample_id}.wav', np.zeros(3, np.int16), 16000)

    def full(*files):
        raise OSError(28, 'No space left on device')

    convert_batch(tmp_path, [], bool, convert, {})
    monkeypatch.setattr(os, 'replace', full)
    ids = [f'{n}' for n in range(500)]
    with pytest.raises(OSError, match='No space left') as info:
        convert_batch(tmp_path, ids, lambda i: False, convert, {}, workers)
    assert info.value.filename == str(tmp_path)
    assert len(tried) <= 32 * workers


def test_files_are_whole_or_not_there(tmp_path, monkeypatch):
    def full(*files):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'replace', full)
    with pytest.raises(DataError, match=r'a\.wav: cannot be written.*No space'):
        write_wav(tmp_path / 'audio' / 'a.wav', np.zeros(3, np.int16), 16000)
    assert not list((tmp_path / 'audio').iterdir())
    monkeypatch.undo()
    write_wav(tmp_path / 'audio' / 'a.wav', np.array([0, 9], np.int16), 16000)
    wave, rate = soundfile.read(tmp_path / 'audio' / 'a.wav', dtype='int16')
    assert (wave.tolist(), rate) == ([0, 9], 16000)
    write_image(tmp_path / 'frames' / 'a.jpg', np.zeros((4, 5, 3), np.uint8))
    assert [p.name for p in (tmp_path / 'frames').iterdir()] == ['a.jpg']
    assert [p.name for p in (tmp_path / 'audio').iterdir()] == ['a.wav']


@pytest.fixture
def coco(tmp_path):
    """Writes an instances file, changed as told, and reads it."""

    def coco(images=None, annotations=None, **fields):
        content = {
            'images': images
            or [{'id': 7, 'file_name': 'x/a.b-c.jpg', 'height': 20, 'width': 40}],
            'annotations': annotations or [],
            'categories': [{'id': 1, 'name': 'dog'}, {'id': 2, 'name': 'cat'}],
            **fields,
        }
        (tmp_path / 'coco.json').write_text(json.dumps(content))
        return coco_labels(str(tmp_path / 'coco.json'))

    return coco


def _note(**fields):
    return {'image_id': 7, 'category_id': 1, 'bbox': [10, 5, 20, 10], **fields}


@pytest.mark.parametrize(
    ('shape', 'fits'),
    [((20, 40), True), ((40, 80), True), ((7, 15), True), ((40, 20), False)]
    + [((30, 40), False), ((40, 40), False)],
)
def test_what_was_annotated_must_be_the_frame(coco, tmp_path, shape, fits):
    labels = coco(annotations=[_note()])
    path = str(tmp_path / 'a.png')
    cv2.imwrite(path, np.zeros((*shape, 3), np.uint8))
    if fits:
        check_sizes(labels, {'a.b-c': path}, 'coco.json')
        return
    message = (
        rf"coco\.json: 'a\.b-c' was annotated at 40 x 20, .*{shape[1]} x {shape[0]}"
    )
    with pytest.raises(DataError, match=message):
        check_sizes(labels, {'a.b-c': path}, 'coco.json')


def test_boxes_are_normalised(coco):
    assert coco(annotations=[_note()]) == {
        'a.b-c': {
            'bboxes': [[0.25, 0.25, 0.75, 0.75]],
            'mask': None,
            'category': 'dog',
            'objects': [
                {'category': 'dog', 'bbox': [0.25, 0.25, 0.75, 0.75], 'sounding': True}
            ],
            'height': 20,
            'width': 40,
        }
    }
    assert coco() == {}


def test_masks_of_every_form_are_united(coco):
    square = np.zeros((20, 40), np.uint8)
    square[:5, :5] = 1
    rle = coco_mask.encode(np.asfortranarray(square))
    rle = {'size': [20, 40], 'counts': rle['counts'].decode()}
    polygon = [[20, 10, 30, 10, 30, 15, 20, 15], [0, 18, 4, 18, 4, 20, 0, 20]]
    runs = {'size': [20, 40], 'counts': [0, 20, 780]}  # the first column
    notes = [
        _note(segmentation=polygon),
        _note(segmentation=rle, category_id=2),
        _note(segmentation=runs, iscrowd=1),
    ]
    label = coco(annotations=notes)['a.b-c']
    wanted = square.copy()
    wanted[:, 0] = wanted[10:15, 20:30] = wanted[18:20, 0:4] = 1
    assert (decode_rle(label['mask'], 'mask') == wanted).all()
    assert label['category'] is None
    assert [o['category'] for o in label['objects']] == ['dog', 'cat', 'dog']
    # a part of the sounding objects is no mask of what sounds
    assert coco(annotations=[*notes, _note()])['a.b-c']['mask'] is None


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'images': 'x'}, "a list 'images'"),
        ({'annotations': [3]}, r'annotations\[0\] must be an object'),
        ({'images': [{'id': 7, 'file_name': 3}]}, r"images\[0\], field 'file_name'"),
        (
            {'images': [{'id': 7, 'file_name': 'a', 'height': 10**9, 'width': 10**9}]},
            r"images\[0\]: 'height' and 'width'",
        ),
        ({'images': [{'id': 7, 'file_name': 'a', 'height': 0, 'width': 1}]}, 'height'),
        ({'images': [{'id': [], 'file_name': 'a', 'height': 1, 'width': 1}]}, "'id'"),
        (
            {'categories': [{'id': 1, 'name': 'dog'}, {'id': 1, 'name': 'cat'}]},
            r"categories\[1\], field 'id': 1 is there twice",
        ),
        ({'annotations': [_note(image_id=8)]}, 'there is no image 8'),
        ({'annotations': [_note(category_id=9)]}, 'there is no category 9'),
        ({'annotations': [_note(category_id={})]}, "field 'category_id'"),
        (
            {'annotations': [_note(bbox=[1, 2, 3])]},
            r"\[0\], field 'bbox' must be four numbers \[x, y, width, height\] in pix",
        ),
        ({'annotations': [_note(bbox=None)]}, r"'bbox' must be .*height.*, got None"),
        (
            {'annotations': [_note(bbox=[1, 2, -3, 4])]},
            r'\[0\].* no area in .* 40 x 20',
        ),
        (
            {'annotations': [_note(bbox=[41, 2, 3, 4])]},
            r'\[0\].* no area in .* 40 x 20',
        ),
        ({'annotations': [_note(bbox=[0, 0, float('nan'), 1])]}, 'holds NaN'),
        # inf - inf would be written as NaN
        (
            {'annotations': [_note(bbox=[float('inf'), 0, float('-inf'), 1])]},
            r"\[0\], field 'bbox' must be \[x, y",
        ),
        ({'images': [{'id': 7, 'file_name': 'a', 'height': float('nan')}]}, 'height'),
        ({'annotations': [_note(bbox=[10**400, 0, 1, 1])]}, 'out of range'),
        ({'annotations': [_note(segmentation=[[1, 2, 3]])]}, "field 'segmentation'"),
        ({'annotations': [_note(segmentation='x')]}, "field 'segmentation'"),
        ({'annotations': [_note(segmentation=[[1e9] * 6])]}, "field 'segmentation'"),
        (
            {'annotations': [_note(segmentation={'size': [2, 2], 'counts': [4]})]},
            'has the size',
        ),
        (
            {'annotations': [_note(segmentation={'size': [20, 40], 'counts': [9]})]},
            'do not add up',
        ),
    ],
)
def test_bad_files_are_named(coco, tmp_path, changes, message):
    with pytest.raises(DataError, match=message) as info:
        coco(**changes)
    assert str(tmp_path / 'coco.json') in str(info.value)


def test_two_images_of_one_name(coco):
    image = {'file_name': 'a.jpg', 'height': 1, 'width': 1}
    with pytest.raises(
        DataError, match=r"images\[1\], field 'file_name': .* is that of .*images\[0\]"
    ):
        coco(images=[{'id': 1, **image}, {'id': 2, **image, 'file_name': 'x/a.png'}])


def write(path, mask, value=255):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), mask.astype(np.uint8) * value)


@pytest.fixture
def mask():
    mask = np.zeros((20, 30), bool)
    mask[4:9, 6:18] = True
    mask[12, 25] = True
    return mask


def test_mask_and_box_around_it(tmp_path, mask):
    write(tmp_path / 'deep' / 'a.png', mask)
    labels, black = mask_labels(tmp_path)
    assert black == []
    assert np.array_equal(coco_mask.decode(labels['a']['mask']), mask)
    assert labels['a']['bboxes'] == [[6 / 30, 4 / 20, 26 / 30, 13 / 20]]


def test_any_colour_sounds_and_transparency_does_not(tmp_path, mask):
    for channel in range(3):
        picture = np.zeros((*mask.shape, 3), np.uint8)
        picture[mask, channel] = 1
        cv2.imwrite(str(tmp_path / f'{channel}.png'), picture)
    clear = np.zeros((*mask.shape, 4), np.uint8)
    clear[mask, 2] = 200
    clear[:3, :, 3] = 255
    cv2.imwrite(str(tmp_path / 'alpha.png'), clear)
    labels, _ = mask_labels(tmp_path)
    assert len(labels) == 4
    for label in labels.values():
        assert np.array_equal(coco_mask.decode(label['mask']), mask)


def test_black_masks_are_named(tmp_path, mask):
    write(tmp_path / 'a.png', mask)
    write(tmp_path / 'b.png', np.zeros_like(mask))
    labels, black = mask_labels(tmp_path)
    assert list(labels) == ['a']
    assert black == ['b']


def test_what_cannot_be_used_is_named(tmp_path, mask):
    with pytest.raises(DataError, match='holds no mask'):
        mask_labels(tmp_path)
    write(tmp_path / 'one' / 'a.png', mask)
    write(tmp_path / 'two' / 'a.png', mask)
    with pytest.raises(DataError, match=r'two/a\.png and .*one/a\.png.*same id'):
        mask_labels(tmp_path)
    for content, what in ((b'', 'has zero bytes'), (b'no picture', 'is truncated, ')):
        (tmp_path / 'one' / 'a.png').write_bytes(content)
        with pytest.raises(DataError, match=rf'one/a\.png: the mask {what}'):
            mask_labels(tmp_path / 'one')
