"""IS3 and MUSIC, in miniature, become data sets that their configs test on."""

import json
import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile
import torch
from mmengine.config import Config
from mmengine.structures import PixelData

from mmxpl.datasets.transforms import RasterizeTargets
from mmxpl.registry import DATASETS, METRICS

ROOT = Path(__file__).parents[2]
# names of the published file: two words before a number, or no number, and another word
IMAGES = {'cat_dog_17': 'cat dog', 'owl_bus_3': 'owl bus', 'fox_train': 'fox subway'}
BOXES = {'cat': [61, 115, 122, 224], 'dog': [0, 0, 61, 115]}


@pytest.fixture(scope='module')
def convert():
    path = ROOT / 'tools/dataset_converters/public_boxes.py'
    main = runpy.run_path(str(path))['main']
    return lambda *arguments: main([str(a) for a in arguments])


def write_clip(frame, sound, level=0.1):
    for path in (frame, sound):
        path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(frame), np.full((32, 32, 3), 100, np.uint8))
    soundfile.write(sound, np.full(16000 * 4, level), 16000)


@pytest.fixture
def is3(tmp_path, monkeypatch):
    """Tree of IS3 with a box file whose paths are those of another machine."""
    root, items = tmp_path / 'is3', []
    for image, classes in IMAGES.items():
        for name in classes.split():
            stem = f'{image}_{name}'
            level = (len(items) + 1) / 10
            frame = root / 'images' / f'{stem}.jpg'
            write_clip(frame, root / 'audio_wav' / f'{stem}.wav', level)
            box = [float(v) for v in BOXES.get(name, [20, 30, 100, 200])]
            items.append(
                dict(
                    image=f'/mnt/x/visual_frames/{stem}.jpg',
                    audio=f'/mnt/x/audio_wav/{stem}.wav',
                    gt_box=box,
                )
            )
    (tmp_path / 'boxes.json').write_text(json.dumps(items))
    monkeypatch.setenv('MMXPL_IS3_ROOT', str(root))
    return root


def public_map(corners):
    """Ground truth of SSLalignment's ``bbox2gtmap``."""
    x1, y1, x2, y2 = (int(v) for v in corners)
    gt_map = torch.zeros(224, 224)
    gt_map[y1:y2, x1:x2] = 1
    return gt_map


def test_is3_has_the_public_ground_truth_and_pairs(convert, is3, tmp_path, capsys):
    convert('is3', is3, tmp_path / 'boxes.json')
    assert '6 clips, 6 classes, 3 video ids' in capsys.readouterr().out
    cfg = Config.fromfile(ROOT / 'configs/xpl/xpl_is3.py')
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    samples = [dataset[i]['data_samples'] for i in range(6)]
    assert [s.category for s in samples[2:]] == ['owl', 'bus', 'fox', 'subway']
    assert samples[5].video_id == 'fox_train'
    for sample, name in zip(samples, ('cat', 'dog'), strict=False):
        assert torch.equal(sample.gt_map, public_map(BOXES[name]))
    # marks the cat's half: of its image one of two sounds succeeds
    truths = [s.gt_map for s in samples]
    maps = [truths[0], truths[0], truths[2], truths[3], 1 - truths[4], truths[5]]
    rng = torch.Generator().manual_seed(0)
    for sample, one in zip(samples, maps, strict=True):
        noisy = 0.5 * one + 0.4 * torch.rand(224, 224, generator=rng)
        sample.pred_map = PixelData(a=noisy[None], b=noisy[None], ens=noisy[None])
    scores = {}
    for metric in [METRICS.build(m) for m in cfg.test_evaluator]:
        metric.dataset_meta = dataset.metainfo
        metric.process(None, [s.to_dict() for s in samples])
        scores |= metric.evaluate(6)
    # by the loop of SSLalignment's test.py, with the size-aware threshold
    public = {}
    for sample in samples:
        pred, gt = sample.pred_map.a[0].numpy(), sample.gt_map.numpy()
        count = int((gt != 0).sum())
        mask = pred > np.sort(pred.flatten())[224 * 224 - count]
        ciou = (mask * gt).sum() / (gt.sum() + (mask * (gt == 0)).sum())
        image = '_'.join(sample.sample_id.split('_')[:-1])
        public.setdefault(image, []).append(ciou >= 0.5)
    share = 100 * np.mean([min(found) for found in public.values()])
    assert scores['interactive/a/IIoU_adaptive'] == pytest.approx(share)
    assert 0 < share < 100


def test_no_whole_pixel_is_lost(convert, is3, tmp_path):
    items = json.loads((tmp_path / 'boxes.json').read_text())[:2]
    stems = [item['image'] for item in items]
    for corner in range(0, 224, 8):
        for k, stem in enumerate(stems):
            items[k]['image'] = stem
            items[k]['gt_box'] = [corner + k, 0, 224, corner + 5 * k + 1]
        (tmp_path / 'boxes.json').write_text(json.dumps(items))
        convert('is3', is3, tmp_path / 'boxes.json', '--overwrite')
        entries = json.loads((is3 / 'annotations.json').read_text())['data_list']
        for item, entry in zip(items, entries, strict=True):
            drawn = RasterizeTargets().transform(dict(entry, is_labeled=True))
            assert torch.equal(drawn['gt_map'], public_map(item['gt_box']))


def test_sounds_from_off_screen_are_of_neither_object(convert, is3, tmp_path):
    convert('is3', is3, tmp_path / 'boxes.json')
    cfg = Config.fromfile(ROOT / 'configs/xpl/xpl_is3_negatives.py')
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    assert len(dataset) == 6 * 4
    for i in range(0, 24, 4):
        image = dataset.get_data_info(i)['video_id']
        found = dataset.get_data_info(i + 3)
        assert found['sample_id'].endswith('@offscreen')
        assert not Path(found['audio_path']).name.startswith(image)


@pytest.mark.parametrize('kind', ['solo', 'duet'])
def test_music_has_boxes_by_corner_and_size(
    convert, tmp_path, monkeypatch, kind, capsys
):
    root, items = tmp_path / 'music', []
    for number in ('00000', '00007'):
        name = f'HnUOaSfTA6c_000_{number}'
        write_clip(
            root / 'frames' / f'{name}.jpg', root / 'audio' / 'HnUOaSfTA6c_000.wav'
        )
        one = {'class': 'cello', 'bbox': [0.25, 0.5, 0.125, 0.25]}
        if kind == 'duet':
            other = {'class': 'flute', 'bbox': [0.5, 0.25, 0.25, 0.125]}
            one = {f'{k}_src1': v for k, v in one.items()}
            one |= {f'{k}_src2': v for k, v in other.items()}
        items.append({'file': name, **one})
    (tmp_path / 'boxes.json').write_text(json.dumps(items))
    convert('music', root, tmp_path / 'boxes.json')
    assert f'{1 + (kind == "duet")} classes, 1 video ids' in capsys.readouterr().out
    monkeypatch.setenv('MMXPL_MUSIC_ROOT', str(root))
    cfg = Config.fromfile(ROOT / 'configs/xpl/xpl_music_duet.py')
    packed = DATASETS.build(cfg.test_dataloader.dataset)[1]
    boxes = [[0.25, 0.5, 0.375, 0.75], [0.5, 0.25, 0.75, 0.375]]
    found = packed['data_samples'].gt_instances.bboxes
    assert found.tolist() == boxes[: len(found)]
    assert len(found) == 1 + (kind == 'duet')
    assert packed['inputs']['audio'].shape == (48000,)


def test_what_is_missing_or_malformed_is_named(convert, is3, tmp_path, capsys):
    boxes = tmp_path / 'boxes.json'

    def refusal(*options):
        with pytest.raises(SystemExit):
            convert('is3', is3, boxes, *options)
        return capsys.readouterr().err

    (is3 / 'audio_wav/owl_bus_3_bus.wav').unlink()
    assert '1 of 6 clips lack a file (audio_wav/owl_bus_3_bus.wav)' in refusal()
    assert not (is3 / 'annotations.json').exists()
    convert('is3', is3, boxes, '--missing', 'skip')
    assert '1 clips are left out (owl_bus_3_bus)' in capsys.readouterr().out
    # what is silent in the owl's image is known all the same
    entries = json.loads((is3 / 'annotations.json').read_text())['data_list']
    assert [o['category'] for o in entries[2]['objects']] == ['owl', 'bus']
    assert [o['sounding'] for o in entries[2]['objects']] == [True, False]
    assert 'Add --overwrite' in refusal()
    items = json.loads(boxes.read_text())
    for field, value, message in (
        ('gt_box', [1, 2, 3], "'gt_box' must be four numbers [x1, y1, x2, y2]"),
        ('audio', None, "field 'audio' must be a name"),
        ('image', 'cat.jpg', 'must end with _CLASS'),
        ('image', items[1]['image'], 'cat_dog_17_dog'),
    ):
        boxes.write_text(json.dumps([items[0] | {field: value}, *items[1:]]))
        assert message in refusal('--overwrite')
    boxes.write_text('{}')
    assert 'must hold a list' in refusal('--overwrite')


@pytest.mark.parametrize(
    ('box', 'message'),
    [
        ([100, 100, 50, 150], '1 clips have no area within the frame (cat_dog_17_cat)'),
        ([230, 0, 260, 50], '1 clips have no area within the frame (cat_dog_17_cat)'),
        ([0, 0, 0, 50], '1 clips have no area within the frame (cat_dog_17_cat)'),
    ],
)
def test_boxes_without_area_are_refused_or_left_out(
    convert, is3, tmp_path, capsys, box, message
):
    boxes = tmp_path / 'boxes.json'
    items = json.loads(boxes.read_text())
    boxes.write_text(json.dumps([items[0] | {'gt_box': box}, *items[1:]]))
    with pytest.raises(SystemExit):
        convert('is3', is3, boxes)
    assert message in capsys.readouterr().err
    convert('is3', is3, boxes, '--missing', 'skip')
    assert '1 clips are left out (cat_dog_17_cat)' in capsys.readouterr().out
    entries = json.loads((is3 / 'annotations.json').read_text())['data_list']
    assert [o['category'] for o in entries[0]['objects']] == ['dog']


def test_boxes_are_cut_at_the_frame_and_counted(convert, is3, tmp_path, capsys):
    boxes = tmp_path / 'boxes.json'
    items = json.loads(boxes.read_text())
    items[0]['gt_box'] = [-30, 112, 230, float('inf')]
    boxes.write_text(json.dumps(items))
    convert('is3', is3, boxes)
    told = capsys.readouterr().out
    assert (
        'boxes of 1 clips reach out of the frame and were cut (cat_dog_17_cat)' in told
    )
    entries = json.loads((is3 / 'annotations.json').read_text())['data_list']
    assert entries[0]['bboxes'] == [[0, pytest.approx(0.5), 1, 1]]
    for item in items:
        item['gt_box'] = [0, 0, 1000, 900]
    boxes.write_text(json.dumps(items))
    with pytest.raises(SystemExit):
        convert('is3', is3, boxes, '--overwrite')
    assert 'most boxes reach far beyond the frame' in capsys.readouterr().err


def test_a_duet_with_a_box_of_negative_width_is_no_duet(convert, tmp_path, capsys):
    items = [
        {
            'file': f'v_{n}',
            'class_src1': 'cello',
            'bbox_src1': [0.5, 0.5, width, 0.25],
            'class_src2': 'flute',
            'bbox_src2': [0.75, 0.5, 0.5, 0.25],
        }
        for n, width in enumerate((-0.25, 0.25))
    ]
    for n in range(2):
        write_clip(tmp_path / f'frames/v_{n}.jpg', tmp_path / 'audio/v.wav')
    boxes = tmp_path / 'boxes.json'
    boxes.write_text(json.dumps(items))
    with pytest.raises(SystemExit):
        convert('music', tmp_path, boxes)
    assert 'boxes of 1 clips have no area within the frame (v_0)' in (
        capsys.readouterr().err
    )
    convert('music', tmp_path, boxes, '--missing', 'skip')
    assert (
        'boxes of 1 clips reach out of the frame and were cut (v_1)'
        in capsys.readouterr().out
    )
    (entry,) = json.loads((tmp_path / 'annotations.json').read_text())['data_list']
    assert entry['bboxes'] == [[0.5, 0.5, 0.75, 0.75], [0.75, 0.5, 1, 0.75]]
