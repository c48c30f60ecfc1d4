"""Detections of another model become maps that training and scoring read."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from mmxpl.datasets.annotations import encode_rle
from mmxpl.evaluation.maps import open_maps

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def draw():
    path = ROOT / 'tools/dataset_converters/boxes_to_maps.py'
    main = runpy.run_path(str(path))['main']
    return lambda *arguments: main([str(a) for a in arguments])


@pytest.fixture
def files(tmp_path):
    images = [
        dict(id=n, file_name=f'frames/{name}.jpg', width=80, height=40)
        for n, name in enumerate('abc')
    ]
    mask = np.zeros((40, 80), np.uint8)
    mask[:20] = 1
    results = [
        dict(image_id=0, bbox=[0, 0, 40, 40], score=0.75, category_id=3),
        dict(image_id=0, bbox=[20, 0, 40, 20], score=0.5, category_id=1),
        # a cell of 20 x 10 pixels, half covered, beyond the frame
        dict(image_id=1, bbox=[70, 30, 100, 100], score=1, category_id=1),
        dict(image_id=1, segmentation=encode_rle(mask), score=0.25),
    ]
    (tmp_path / 'images.json').write_text(json.dumps(dict(images=images)))
    (tmp_path / 'boxes.json').write_text(json.dumps(results))
    return [tmp_path / 'boxes.json', tmp_path / 'images.json']


def test_a_map_holds_the_scores_where_the_boxes_are(draw, files, tmp_path, capsys):
    out = tmp_path / 'new/maps.npz'
    draw(*files, '--out', out, '--size', 4)
    assert 'maps of 2 of 3 images, of 4 detections' in capsys.readouterr().out
    maps = open_maps(str(out))
    assert maps.ids == {'a', 'b'}
    first = [[0.75, 0.75, 0.5, 0]] * 2 + [[0.75, 0.75, 0, 0]] * 2
    assert maps.read('a').tolist() == first
    second = [[0.25] * 4] * 2 + [[0] * 4, [0, 0, 0, 0.5]]
    assert maps.read('b').tolist() == second
    assert not list((tmp_path / 'new').glob('.*'))


def test_weak_detections_are_left_out_and_counted(draw, files, tmp_path, capsys):
    out = tmp_path / 'maps.npz'
    draw(*files, '--out', out, '--min-score', 0.6, '--size', 4)
    assert 'of 2 detections; 2 score less than 0.6' in capsys.readouterr().out
    assert open_maps(str(out)).read('a')[0].tolist() == [0.75, 0.75, 0, 0]


def test_what_it_refuses(draw, files, tmp_path, capsys):
    boxes, out = files[0], tmp_path / 'maps.npz'
    good = json.loads(boxes.read_text())

    def refusal(*options):
        with pytest.raises(SystemExit):
            draw(*files, *(options or ('--out', out)))
        return capsys.readouterr().err

    for field, value, message in (
        ('image_id', 9, "[0], field 'image_id' is not in"),
        ('image_id', [0], "[0], field 'image_id' is not in"),
        ('score', 1.5, "[0], field 'score' must be in [0, 1]"),
        ('score', None, "[0], field 'score' must be in [0, 1]"),
        ('bbox', [1, 2, 3], "[0], field 'bbox' must be four numbers [x, y, width"),
        (
            'bbox',
            [80, 0, 9, 9],
            "[0], field 'bbox' covers nothing of the image of 80 x",
        ),
        ('bbox', [9, 9, 1e-9, 9], "[0], field 'bbox' covers nothing"),
        ('bbox', [9, 9, 0, 9], "[0], field 'bbox' covers nothing"),
        ('bbox', [50, 30, -9, -9], "[0], field 'bbox' covers nothing"),
        ('bbox', [0, 0, float('inf'), 9], "[0], field 'bbox' must be [x, y, width"),
        ('segmentation', {'size': [1, 1]}, "[0], field 'segmentation'"),
        (
            'segmentation',
            encode_rle(np.ones((80, 40), np.uint8)),
            "[0], field 'segmentation' has the size [80, 40], the image (40, 80)",
        ),
    ):
        boxes.write_text(json.dumps([good[0] | {field: value}]))
        assert message in refusal()
    for content, message in (
        ([], 'the list of detections is empty'),
        ({'a': 1}, 'must be a list'),
    ):
        boxes.write_text(json.dumps(content))
        assert message in refusal()
    boxes.write_text(json.dumps(good))
    assert 'must be named .npz' in refusal('--out', tmp_path / 'maps')
    assert 'from 0 to 1' in refusal('--out', out, '--min-score', 2)
    draw(*files, '--out', out, '--overwrite')
    assert 'Add --overwrite' in refusal()
    items = json.loads(files[1].read_text())['images']
    for images, message in (
        ([items[0], items[1] | {'id': 0}], "images[1], field 'id': 0 is that of"),
        (
            [items[0], items[1] | {'file_name': 'x/a.png'}],
            "'file_name': 'a' is that of",
        ),
        ([items[0] | {'id': [1]}], "images[0], field 'id' must be a number, got [1]"),
        ([{k: v for k, v in items[0].items() if k != 'id'}], "images[0], field 'id'"),
        ([], "'images' is empty"),
    ):
        files[1].write_text(json.dumps(dict(images=images)))
        told = refusal('--out', out, '--overwrite')
        assert message in told
        assert str(files[1]) in told
        assert str(files[0]) not in told
    files[0].unlink()
    files[1].write_text(json.dumps(dict(images=items)))
    told = refusal('--out', out, '--overwrite')
    assert f'{files[0]}: the file of results cannot be read' in told
    assert 'JSON' not in told


def test_what_is_cut_or_empty_is_counted(draw, files, tmp_path, capsys):
    empty = encode_rle(np.zeros((40, 80), np.uint8))
    results = [
        dict(image_id=0, bbox=[-20, 0, 40, 40], score=1),
        dict(image_id=0, bbox=[0.1, 0, 80 - 0.1, 40], score=0.5),
        dict(image_id=1, segmentation=empty, score=1),
        dict(image_id=2, bbox=[30, 10, 0.1, 0.1], score=1),
    ]
    files[0].write_text(json.dumps(results))
    draw(*files, '--out', tmp_path / 'maps.npz', '--size', 4)
    told = capsys.readouterr().out
    assert 'maps of 2 of 3 images, of 3 detections' in told
    assert '1 boxes reach out of their image and were cut' in told
    assert '1 masks are empty and are left out' in told
    maps = open_maps(str(tmp_path / 'maps.npz'))
    assert maps.ids == {'a', 'c'}
    assert maps.read('a')[0, 0] == 1
    assert maps.read('c').max() == pytest.approx(0.1 / 20 * 0.1 / 10, rel=0.01)


@pytest.mark.parametrize('name', ['file', 'allow_pickle', 'self'])
def test_a_clip_may_have_any_name(draw, files, tmp_path, name):
    content = files[1].read_text().replace('a.jpg', f'{name}.jpg')
    files[1].write_text(content)
    draw(*files, '--out', tmp_path / 'maps.npz', '--size', 4)
    maps = open_maps(str(tmp_path / 'maps.npz'))
    assert maps.ids == {name, 'b'}
    assert maps.read(name).max() == 0.75
