import json
import shutil
import sys

import cv2
import make_lists
import make_scenes
import numpy as np
import pytest
import soundfile
from pycocotools import mask as coco_mask

from mmxpl.utils import DataError
from tests.test_projects.test_tuxpaint.small_package import (
    KINDS,
    touches_all_sides,
    write_cutout,
)

pytestmark = pytest.mark.xdist_group('tuxpaint')  # its clips are made once
SIZE = 64


def run(package, out, *more):
    make_scenes.main(
        [
            *('--stamps', str(package), '--backgrounds', str(package / 'photos')),
            *('--out', str(out), '--clips', '80', '--size', str(SIZE)),
            *('--workers', '1', *more),
        ]
    )


@pytest.fixture(scope='module')
def made(package, tmp_path_factory):
    out = tmp_path_factory.mktemp('made') / 'tux'
    run(package, out)
    return out


def entries(root):
    return json.loads((root / 'annotations.json').read_text())['data_list']


def contents(root):
    files = [p for p in root.rglob('*') if p.is_file()]
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in files}


def test_layout(made):
    lists = [(made / f'{s}.txt').read_text().split() for s in ('train', 'val', 'test')]
    assert [len(ids) for ids in lists] == [56, 8, 16]
    data = json.loads((made / 'annotations.json').read_text())
    assert data['metainfo']['classes'] == sorted(KINDS)
    assert [e['sample_id'] for e in data['data_list']] == sum(lists, [])
    assert len(json.loads((made / 'vggss.json').read_text())) == 80
    shares = data['metainfo']['backgrounds']
    assert sorted(sum(shares.values(), [])) == [f'{i}.jpg' for i in range(5)]
    assert all(shares.values())


def test_masks_and_boxes_follow_the_pixels(made):
    for entry in entries(made):
        frame = cv2.imread(str(made / entry['img_path'])).astype(int)
        assert frame.shape == (SIZE, SIZE, 3)
        shown = [o['category'] for o in entry['objects']]
        assert len(set(shown)) == len(shown)
        # Which of the classes a pixel has the hue of; grey and mixtures (where two
        # objects meet) have none.
        grey = frame.max(2) - frame.min(2) < 30
        colours = np.array([KINDS[name][0] for name in shown]) / 220
        unit = frame / np.maximum(np.linalg.norm(frame, axis=2, keepdims=True), 1)
        likeness = unit @ (colours / np.linalg.norm(colours, axis=1, keepdims=True)).T
        nearest = np.where(likeness.max(2) > 0.9, likeness.argmax(2), -1)
        heard = [o['sounding'] for o in entry['objects']]
        seen = np.isin(nearest, np.flatnonzero(heard))
        other = grey | np.isin(nearest, np.flatnonzero(np.logical_not(heard)))
        rle = dict(entry['mask'], counts=entry['mask']['counts'].encode())
        mask = coco_mask.decode(rle).astype(bool)
        inner = cv2.erode(mask.astype(np.uint8), np.ones((5, 5))) > 0
        outer = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5))) > 0
        assert other[inner].sum() <= 0.05 * inner.sum()
        assert seen[~outer].mean() < 0.01
        union = np.zeros_like(mask)
        for x1, y1, x2, y2 in np.rint(np.multiply(entry['bboxes'], SIZE)).astype(int):
            inside = mask[y1:y2, x1:x2]
            # Tight: the mask touches all four sides (only one sounding object may
            # touch a side that another hides).
            assert touches_all_sides(inside)
            union[y1:y2, x1:x2] = True
        assert not (mask & ~union).any()


def test_sound_is_that_of_the_sounding_object(made):
    two = 0
    for entry in entries(made):
        wave, rate = soundfile.read(made / entry['audio_path'])
        assert (rate, wave.shape) == (16000, (48000,))
        heard = {o['category'] for o in entry['objects'] if o['sounding']}
        silent = [o for o in entry['objects'] if not o['sounding']]
        assert silent
        assert entry['category'] in heard
        two += len(heard) == 2
        spectrum = np.abs(np.fft.rfft(wave)) ** 2
        axis = np.fft.rfftfreq(len(wave), 1 / rate)
        total = spectrum.sum()
        share = {
            name: spectrum[(axis > 0.9 * f) & (axis < 1.18 * f)].sum() / total
            for name, (_, f) in KINDS.items()
        }
        assert {name for name, value in share.items() if value > 0.05} == heard
        assert max(share, key=share.get) == entry['category']
    assert 4 < two < 30


def test_splits_share_neither_test_photographs_nor_test_sounds(made):
    for entry in entries(made):
        split = entry['sample_id'].split('_')[0]
        for o in entry['objects']:
            assert o['new_photo'] == (o['photo'] == 'animals/frog-1.png')
            assert split == 'test' or not o['new_photo']
            if o['sounding']:
                assert o['new_sound'] == (o['sound'].endswith('s:]'))
                assert split == 'test' or not o['new_sound']
                assert split != 'test' or '[:' not in o['sound']


def test_same_bytes_for_any_workers_and_only_for_one_seed(
    warm_spawn, package, made, tmp_path
):
    run(package, tmp_path / 'two', '--workers', '2')
    assert contents(tmp_path / 'two') == contents(made)
    run(package, tmp_path / 'other', '--seed', '1', '--clips', '12')
    for name in ('frames/train_00000.jpg', 'audio/train_00000.wav'):
        assert contents(tmp_path / 'other')[name] != contents(made)[name]


def test_a_clip_does_not_depend_on_how_many_there_are(package, made, tmp_path):
    run(package, tmp_path / 'few', '--clips', '12')
    few, many = contents(tmp_path / 'few'), contents(made)
    assert few['frames/train_00003.jpg'] == many['frames/train_00003.jpg']
    assert few['audio/test_00000.wav'] == many['audio/test_00000.wav']


def test_background_sound_is_of_a_class_that_is_not_in_the_frame(
    package, made, tmp_path
):
    out = tmp_path / 'noisy'
    run(package, out, '--clips', '12', '--background', '6')
    before = {entry['sample_id']: entry for entry in entries(made)}
    for entry in entries(out):
        added = entry.pop('background_sound')['category']
        assert entry == before[entry['sample_id']]  # of the frame nothing changed
        assert added not in {o['category'] for o in entry['objects']}
        wave, rate = soundfile.read(out / entry['audio_path'])
        spectrum = np.abs(np.fft.rfft(wave)) ** 2
        axis = np.fft.rfftfreq(len(wave), 1 / rate)
        low, high = 0.9 * KINDS[added][1], 1.18 * KINDS[added][1]
        share = spectrum[(axis > low) & (axis < high)].sum() / spectrum.sum()
        assert share == pytest.approx(4 / 5, abs=0.03)  # 6 dB are four times the power


def test_lists_of_rare_and_of_new(made, tmp_path, monkeypatch):
    shutil.copy(made / 'annotations.json', tmp_path)
    monkeypatch.setattr(sys, 'argv', ['make_lists.py', str(tmp_path)])
    make_lists.main()
    lists = {p.stem: set(p.read_text().split()) for p in tmp_path.glob('*.txt')}
    clips = {entry['sample_id']: entry for entry in entries(made)}
    rare = {clips[name]['category'] for name in lists['test_rare']}
    assert len(rare) == 1  # a third of four classes
    known = lists['test_known']
    for name, entry in clips.items():
        heard = [o for o in entry['objects'] if o['sounding']]
        photos, sounds = ({o[k] for o in heard} for k in ('new_photo', 'new_sound'))
        test = name.startswith('test')
        assert (name in known) == (test and photos == sounds == {False})
        assert (name in lists['test_new_photo']) == (test and photos == {True})
        assert (name in lists['test_new_sound']) == (test and sounds == {True})
        if name in lists['train_common']:
            assert not rare & {o['category'] for o in entry['objects']}
        if name in lists['train_pool']:
            assert not rare & {o['category'] for o in heard}
        assert name.startswith('train') == (
            name in lists['train_pool'] | lists['train_rest']
        )
    assert known
    assert len(lists['train_tail']) < 40
    with pytest.raises(DataError, match='test_common.txt, .* already'):
        make_lists.main()


def test_run_again(package, made, capsys):
    before = contents(made)
    run(package, made)
    printed = capsys.readouterr().out
    assert 'nothing to do' in printed
    assert '8 stamps left out' in printed
    assert 'animals/noisy.png: unreadable sound' in printed
    assert '3 left out: 1 the same picture, 1 too small, 1 unreadable image' in printed
    assert contents(made) == before


@pytest.mark.parametrize(
    ('more', 'message'),
    [
        (['--seed', '5'], 'holds clips of other settings: seed 0 (asked: 5)'),
        (['--clips', '2'], "--clips: must be a whole number, at least 3, got '2'"),
        (['--test', 'nan'], "--test: must be a number, from 0 to 1, got 'nan'"),
        (['--background', '99'], '--background: must be a number, from -60 to 20'),
        (['--val', '0.9'], 'leaves a split without clips'),
        (['--stamps', 'no/such'], 'no/such: no such folder'),
        (['--backgrounds', 'no/such'], 'no/such: no such folder'),
    ],
)
def test_refusals(package, made, capsys, more, message):
    with pytest.raises(SystemExit, match='^2$'):
        run(package, made, *more)
    assert message in capsys.readouterr().err


def test_changed_stamps_are_another_input(package, made, tmp_path, capsys):
    changed = tmp_path / 'changed'
    folder = package / 'usr' / 'share' / 'tuxpaint' / 'stamps'
    shutil.copytree(folder, changed)
    write_cutout(changed / 'animals' / 'kite.png', (200, 0, 0))
    with pytest.raises(SystemExit):
        run(package, made, '--stamps', str(changed))
    assert 'stamps' in capsys.readouterr().err


def test_frames_do_not_tell_what_sounds(made):
    objects = [pair for e in entries(made) for pair in enumerate(e['objects'])]
    # Front and back sound alike: both sorts of object have both places.
    for heard in (True, False):
        assert {0, 1} <= {place for place, o in objects if o['sounding'] == heard}
