import filecmp
import json
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile
from pycocotools import mask as coco_mask

from mmxpl.datasets.synthetic import (
    CLASSES,
    WorldConfig,
    area_facts,
    box_areas,
    clip_layout,
    describe,
    load_entries,
    make_clip,
    preset,
    reference_rows,
    unheard_classes,
    visible_masks,
    write_world,
)
from mmxpl.datasets.synthetic import sounds as sounds_module
from mmxpl.utils import DataError

pytestmark = pytest.mark.xdist_group('synthetic')  # its world is made once
ROOT = Path(__file__).parents[2]
TINY = dict(train=5, val=2, test=3, size=64, sample_rate=8000, duration=1.0)


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp('worlds') / 'one'
    config = preset('default', **TINY)
    assert write_world(root, config, workers=1, progress=False)
    return root, config


@pytest.fixture(scope='module')
def entries():
    """Annotations of 300 layouts that are never painted."""
    config = preset('default')
    return [
        describe(clip_layout(config, 'test', i), f'test_{i:05d}', 128)
        for i in range(300)
    ]


def _files(root):
    return sorted(str(p.relative_to(root)) for p in root.rglob('*') if p.is_file())


# Classes


def test_no_two_classes_share_more_than_one_of_shape_texture_and_colour():
    assert len({c.name for c in CLASSES}) == len(CLASSES) >= 24
    assert sorted(c.voice for c in CLASSES) == list(range(len(sounds_module.VOICES)))
    for i, a in enumerate(CLASSES):
        for b in CLASSES[:i]:
            shared = sum(getattr(a, k) == getattr(b, k) for k in _LOOKS)
            same_kind = a.voice // 3 == b.voice // 3
            assert shared <= 1
            assert not (shared and same_kind)


_LOOKS = ('shape', 'texture', 'colour')


def test_voices_come_in_threes_of_a_kind():
    kinds = [v.kind for v in sounds_module.VOICES]
    assert all(len(set(kinds[i : i + 3])) == 1 for i in range(0, len(kinds), 3))
    assert len(set(kinds)) == len(kinds) // 3


# Layouts


def test_every_frame_has_a_silent_object_of_another_class(entries):
    for entry in entries:
        heard = [o['category'] for o in entry['objects'] if o['sounding']]
        silent = [o['category'] for o in entry['objects'] if not o['sounding']]
        assert 2 <= len(entry['objects']) <= 4
        assert 1 <= len(heard) <= 2
        assert silent
        assert not set(heard) & set(silent)
        assert entry['category'] in heard


def test_areas_follow_vgg_ss(entries):
    areas = box_areas(entries)
    truth = area_facts(areas['ground truth'])
    # VGG-SS: mean 0.31, median 0.25; 3, 35, 33 and 29 %.
    assert truth['mean'] == pytest.approx(0.31, abs=0.04)
    assert truth['median'] == pytest.approx(0.25, abs=0.05)
    for name, share in (('small', 0.03), ('medium', 0.35), ('large', 0.33)):
        assert truth[name] == pytest.approx(share, abs=0.09)
    assert truth['huge'] == pytest.approx(0.29, abs=0.09)


def test_nothing_in_the_frame_tells_what_sounds(entries):
    """Within frames, sounding objects rank like silent ones in size and depth."""
    by_size, by_depth = [], []
    for entry in entries:
        objects = entry['objects']
        sizes = [(o['bbox'][2] - o['bbox'][0]) * (o['bbox'][3] - o['bbox'][1])
                 for o in objects]  # fmt: skip
        rank = np.argsort(np.argsort(sizes)) / (len(objects) - 1)
        for depth, o in enumerate(objects):
            if o['sounding']:
                by_size.append(rank[depth])
                by_depth.append(depth / (len(objects) - 1))
    # 0.5 by chance; the standard error is about 0.02.
    assert np.mean(by_size) == pytest.approx(0.5, abs=0.07)
    assert np.mean(by_depth) == pytest.approx(0.5, abs=0.07)


def test_objects_stay_visible():
    config = preset('default')
    for index in range(60):
        layout = clip_layout(config, 'train', index)
        together = visible_masks(layout.objects, 128)
        assert together.sum(0).max() == 1
        for mask, placed in zip(together, layout.objects, strict=True):
            alone = visible_masks([placed], 128)[0]
            assert mask.sum() >= 0.7 * alone.sum()


def test_masks_and_boxes_agree(entries):
    config = preset('default')
    for index in range(40):
        entry = entries[index]
        mask = coco_mask.decode(entry['mask'])
        masks = visible_masks(clip_layout(config, 'test', index).objects, 128)
        boxes, union = [], np.zeros((128, 128), bool)
        for o, m in zip(entry['objects'], masks, strict=True):
            ys, xs = np.nonzero(m)
            tight = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
            np.testing.assert_allclose(np.array(o['bbox']) * 128, tight, atol=1e-3)
            if o['sounding']:
                union |= m
                boxes.append(o['bbox'])
        np.testing.assert_array_equal(mask, union)
        assert entry['bboxes'] == boxes


def test_offscreen_sound_has_no_box_and_stays_out_of_the_test_split():
    config = preset('default', offscreen=1.0)
    entry = describe(clip_layout(config, 'train', 0), 'train_00000', 64)
    assert entry['offscreen']
    assert entry['bboxes'] == []
    assert coco_mask.area(entry['mask']) == 0
    assert entry['category'] not in {o['category'] for o in entry['objects']}
    assert clip_layout(config, 'test', 0).offscreen is None


def test_lookalikes_share_a_shape():
    config = preset('default', lookalikes=1.0)
    for index in range(20):
        objects = clip_layout(config, 'train', index).objects
        shapes = [CLASSES[o.category].shape for o in objects]
        assert len(set(shapes)) < len(shapes)
        assert len({o.category for o in objects}) == len(objects)


# Clips


def test_images_do_not_depend_on_what_sounds():
    """The same layouts with another choice of what sounds give the same frames."""
    quiet = preset('default', size=64, two_sounding=0.0)
    loud = preset('default', size=64, two_sounding=1.0)
    changed = 0
    for index in range(8):
        a, b = make_clip(quiet, 'train', index), make_clip(loud, 'train', index)
        np.testing.assert_array_equal(a.image, b.image)
        changed += len(a.info['bboxes']) != len(b.info['bboxes'])
    assert changed


def test_every_voice_is_audible_finite_and_varied():
    for voice in sounds_module.VOICES:
        one, two = (
            sounds_module.make_sound(voice, 8000, 8000, np.random.default_rng(seed))
            for seed in range(2)
        )
        assert np.isfinite(one).all()
        assert np.sqrt(np.mean(one**2)) == pytest.approx(1)
        correlation = np.mean(one * two)
        assert abs(correlation) < 0.9


def test_sounds_tell_their_classes():
    """Nearest neighbour on mean spectra: far above chance, far from perfect."""
    config = preset('default', size=48, duration=2.0)
    features, labels = [], []
    for voice_index, voice in enumerate(sounds_module.VOICES):
        for seed in range(4):
            rng = np.random.default_rng([voice_index, seed])
            wave = sounds_module.make_sound(voice, 32000, 16000, rng, config.jitter)
            frames = wave[: 62 * 512].reshape(62, 512) * np.hanning(512)
            power = np.abs(np.fft.rfft(frames)).astype(float)[:, 1:] ** 2
            edges = np.unique(np.geomspace(1, 256, 30).astype(int))
            bands = np.add.reduceat(power, edges[:-1] - 1, axis=1)
            features.append(np.log(bands + 1e-2).mean(0))
            labels.append(voice_index)
    features, labels = np.array(features), np.array(labels)
    distance = np.linalg.norm(features[:, None] - features[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    accuracy = np.mean(labels[distance.argmin(1)] == labels)
    assert 0.35 < accuracy < 0.98


# Files


def test_files_and_annotations(world):
    root, config = world
    data = json.loads((root / 'annotations.json').read_text())
    assert data['metainfo']['classes'] == [c.name for c in CLASSES]
    ids = [e['sample_id'] for e in data['data_list']]
    listed = []
    for split in ('train', 'val', 'test'):
        lines = (root / f'{split}.txt').read_text().splitlines()
        assert len(lines) == config.count(split)
        listed += lines
    assert ids == listed
    assert len(set(ids)) == len(ids)
    for entry in data['data_list']:
        image = cv2.imread(str(root / entry['img_path']))
        assert image.shape == (64, 64, 3)
        assert image.std() > 5
        info = soundfile.info(root / entry['audio_path'])
        assert (info.samplerate, info.channels, info.frames) == (8000, 1, 8000)
        assert info.subtype == 'PCM_16'
        wave, _ = soundfile.read(root / entry['audio_path'])
        assert 0.005 < np.sqrt(np.mean(wave**2)) < 0.5
        assert entry['mask']['size'] == [64, 64]
        for x1, y1, x2, y2 in entry['bboxes']:
            assert 0 <= x1 < x2 <= 1
            assert 0 <= y1 < y2 <= 1
    vggss = json.loads((root / 'vggss.json').read_text())
    assert [(e['file'], e['bbox']) for e in vggss] == [
        (e['sample_id'], e['bboxes']) for e in data['data_list']
    ]


def test_bytes_depend_on_neither_workers_nor_folder(warm_spawn, world, tmp_path):
    root, config = world
    other = tmp_path / 'two'
    write_world(other, config, workers=2, progress=False)
    names = _files(root)
    assert names == _files(other)
    _, differing, broken = filecmp.cmpfiles(root, other, names, shallow=False)
    assert differing == broken == []


def test_seeds_and_splits_give_other_clips():
    config = preset('default', **TINY)
    base = make_clip(config, 'train', 0)
    for other in (
        make_clip(config, 'train', 1),
        make_clip(config, 'val', 0),
        make_clip(preset('default', **TINY, seed=1), 'train', 0),
    ):
        assert not np.array_equal(base.image, other.image)
        assert not np.array_equal(base.audio, other.audio)


def test_unheard_classes_stay_out_of_the_heard_lists(tmp_path):
    config = preset('easy', **{**TINY, 'train': 12, 'test': 12}, unheard=12)
    write_world(tmp_path / 'w', config, progress=False)
    held = set(unheard_classes(config))
    assert len(held) == 12
    splits = load_entries(tmp_path / 'w')
    for split in ('train', 'val', 'test'):
        heard, unheard = (
            (tmp_path / 'w' / f'{split}_{name}.txt').read_text().split()
            for name in ('heard', 'unheard')
        )
        assert sorted(heard + unheard) == [e['sample_id'] for e in splits[split]]
        for entry in splits[split]:
            sounding = {o['category'] for o in entry['objects'] if o['sounding']}
            assert (entry['sample_id'] in unheard) == bool(sounding & held)


def test_second_run_does_nothing_and_others_are_refused(world, tmp_path):
    root, config = world
    before = {n: (root / n).stat().st_mtime_ns for n in _files(root)}
    assert not write_world(root, config, progress=False)
    with pytest.raises(DataError, match=r'--out .*another world: seed 0 \(asked: 1\)'):
        write_world(root, preset('default', **TINY, seed=1), progress=False)
    assert before == {n: (root / n).stat().st_mtime_ns for n in _files(root)}

    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'thesis.txt').write_text('do not lose me')
    with pytest.raises(DataError, match='holds no synthetic world; choose another'):
        write_world(tmp_path / 'mine', config, progress=False)
    assert _files(tmp_path / 'mine') == ['thesis.txt']
    assert [p.name for p in tmp_path.iterdir()] == ['mine']


def test_incomplete_world_is_refused(tmp_path):
    config = preset('default', **TINY)
    write_world(tmp_path / 'w', config, progress=False)
    (tmp_path / 'w' / 'audio' / 'val_00001.wav').unlink()
    with pytest.raises(DataError, match=r'1 files .* missing, such as .*val_00001.wav'):
        write_world(tmp_path / 'w', config, progress=False)


def test_a_run_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def fail(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr('mmxpl.datasets.synthetic.writer.make_clip', fail)
    with pytest.raises(KeyboardInterrupt):
        write_world(tmp_path / 'w', preset('default', **TINY), progress=False)
    assert list(tmp_path.iterdir()) == []


def test_bad_settings_name_the_field():
    with pytest.raises(DataError, match='unheard=24'):
        WorldConfig(unheard=24)
    with pytest.raises(DataError, match='size=7'):
        WorldConfig(size=7)
    with pytest.raises(DataError, match="difficulty='brutal'"):
        preset('brutal')


# Reference rows


def test_listening_is_needed(entries):
    rows = reference_rows(entries[:100], 0.35)
    assert rows['perfect map, 14x14']['adaptive'] >= 95
    assert rows['perfect map, 14x14']['fixed'] >= 95
    assert rows['image-only optimum']['adaptive'] < 70
    assert rows['image-only optimum']['fixed'] < 65
    assert rows['centred disc']['adaptive'] < 40
    # The optimum is one: no fixed habit beats it by more than chance.
    for name in ('largest object', 'one object, at random', 'all objects'):
        for rule in ('adaptive', 'fixed'):
            assert rows[name][rule] <= rows['image-only optimum'][rule] + 5


def test_reference_rows_by_hand():
    boxes = [[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]]
    objects = [dict(bbox=b, sounding=i == 0) for i, b in enumerate(boxes)]
    rows = reference_rows([dict(bboxes=boxes[:1], objects=objects)], 0.0)
    # Half the frame sounds: everything marked gives CIoU 0.5 exactly.
    assert rows['whole image'] == dict(adaptive=100, median=100, fixed=100)
    assert rows['perfect map, 14x14'] == dict(adaptive=100, median=100, fixed=100)
    objects[1]['bbox'] = boxes[1] = [0.5, 0.0, 0.9, 1.0]
    rows = reference_rows([dict(bboxes=boxes[1:], objects=objects)], 0.0)
    assert rows['whole image'] == dict(adaptive=0, median=0, fixed=0)
    assert rows['largest object']['fixed'] == 0


@pytest.mark.slow
def test_command_line(warm_python, tmp_path):
    command = [warm_python, 'tools/dataset_converters/make_synthetic.py']
    command += ['--out', str(tmp_path / 'w'), '--train', '2', '--val', '1']
    command += ['--test', '4', '--size', '64', '--duration', '1', '--workers', '1']

    def run(*more):
        return subprocess.run(
            [*command, *more],
            cwd=ROOT,
            env={'PYTHONPATH': str(ROOT), 'PATH': ''},
            capture_output=True,
            text=True,
        )

    first, second, third = run(), run(), run('--snr', '3')
    assert first.returncode == 0, first.stderr
    assert 'written' in first.stdout
    assert 'image-only optimum' in first.stdout
    assert second.returncode == 0
    assert 'nothing to do' in second.stdout
    assert third.returncode == 2
    assert third.stderr.startswith('error: --out')
    assert third.stderr.count('\n') == 1
