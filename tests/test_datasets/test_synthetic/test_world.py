import filecmp
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile

from mmxpl.datasets.synthetic import (
    CLASSES,
    GeneratedClip,
    WorldConfig,
    clip_id,
    load_entries,
    make_clip,
    preset,
    unheard_classes,
    write_folder,
    write_world,
)
from mmxpl.utils import DataError

pytestmark = pytest.mark.xdist_group('synthetic')  # its world is made once
ROOT = Path(__file__).parents[3]
TINY = dict(train=5, val=2, test=3, size=64, sample_rate=8000, duration=1.0)


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp('worlds') / 'one'
    config = preset('default', **TINY)
    assert write_world(root, config, workers=1)
    return root, config


def _files(root):
    return sorted(str(p.relative_to(root)) for p in root.rglob('*') if p.is_file())


def test_files_and_annotations(world):
    root, config = world
    data = json.loads((root / 'annotations.json').read_text())
    assert data['metainfo']['classes'] == [c.name for c in CLASSES]
    ids = [e['sample_id'] for e in data['data_list']]
    listed = []
    for split in ('train', 'val', 'test'):
        lines = (root / f'{split}.txt').read_text().splitlines()
        assert len(lines) == getattr(config, split)
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
    write_world(other, config, workers=2)
    names = _files(root)
    assert names == _files(other)
    _, differing, broken = filecmp.cmpfiles(root, other, names, shallow=False)
    assert differing == broken == []


def test_clips_of_this_version_stay_what_they_are():
    """Whoever changes them raises WORLD_VERSION and these numbers."""
    config = preset('default', seed=3, size=64, duration=1.0)
    clip = make_clip(config, 'train', 1)
    assert clip.info['category'] == 'blue_striped_moon'
    assert [o['bbox'] for o in clip.info['objects']] == [
        [0.640625, 0.3125, 0.984375, 0.9375],
        [0.03125, 0.0, 0.828125, 1.0],
        [0.15625, 0.0625, 0.75, 0.46875],
    ]
    assert clip.image.mean((0, 1)) == pytest.approx([118.34, 85.66, 129.86], abs=0.1)
    assert clip.image.std() == pytest.approx(51.88, abs=0.1)
    assert np.abs(clip.audio.astype(float)).mean() == pytest.approx(1959.0, abs=1)


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
    write_world(tmp_path / 'w', config)
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


def test_parts_of_unheard_classes_are_heard_in_a_matched_world():
    looks = {c.name: c.shape for c in CLASSES}
    for seed in range(5):
        config = WorldConfig(matched=1, unheard=8, seed=seed)
        assert len({looks[name] for name in unheard_classes(config)}) == 8
    assert 'matched' not in WorldConfig().to_dict()  # the worlds that there are


def test_a_matched_world_lists_clips_without_any_unheard_object(tmp_path):
    config = preset('easy', **{**TINY, 'train': 12, 'test': 2}, unheard=8, matched=1)
    write_world(tmp_path / 'w', config)
    unseen = (tmp_path / 'w' / 'train_unseen.txt').read_text().split()
    held = set(unheard_classes(config))
    for entry in load_entries(tmp_path / 'w')['train']:
        seen = {o['category'] for o in entry['objects']}
        assert (entry['sample_id'] in unseen) == (not seen & held)
    assert 0 < len(unseen) < 12


def test_second_run_does_nothing_and_others_are_refused(world, tmp_path):
    root, config = world
    before = {n: (root / n).stat().st_mtime_ns for n in _files(root)}
    assert not write_world(root, config)
    with pytest.raises(DataError, match=r'--out .*other settings: seed 0 \(asked: 1\)'):
        write_world(root, preset('default', **TINY, seed=1))
    assert before == {n: (root / n).stat().st_mtime_ns for n in _files(root)}

    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'thesis.txt').write_text('do not lose me')
    with pytest.raises(DataError, match='holds no generated clips; choose another'):
        write_world(tmp_path / 'mine', config)
    assert _files(tmp_path / 'mine') == ['thesis.txt']
    assert [p.name for p in tmp_path.iterdir()] == ['mine']


def test_incomplete_world_is_refused(tmp_path):
    config = preset('default', **TINY)
    write_world(tmp_path / 'w', config)
    (tmp_path / 'w' / 'audio' / 'val_00001.wav').unlink()
    with pytest.raises(
        DataError, match=r'1 of its files are missing, such as .*val_00001.wav'
    ):
        write_world(tmp_path / 'w', config)


def test_a_run_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def fail(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr('mmxpl.datasets.synthetic.world.make_clip', fail)
    with pytest.raises(KeyboardInterrupt):
        write_world(tmp_path / 'w', preset('default', **TINY))
    assert list(tmp_path.iterdir()) == []


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


COUNTS = {'train': 11, 'val': 1, 'test': 2}


@dataclass
class NoiseMaker:
    seed: int = 0
    fail_at: int = -1

    def __call__(self, split, index):
        if index == self.fail_at:
            raise DataError('the maker failed')
        rng = np.random.default_rng([self.seed, *split.encode(), index])
        name = clip_id(split, index)
        info = dict(
            sample_id=name,
            img_path=f'frames/{name}.jpg',
            audio_path=f'audio/{name}.wav',
            category='noise',
            bboxes=[[0.0, 0.25, 0.5, 1.0]] if index % 2 == 0 else [],
        )
        image = rng.integers(0, 256, (16, 24, 3), dtype=np.uint8)
        return GeneratedClip(image, rng.integers(-99, 99, 400).astype(np.int16), info)


def write(root, maker=None, workers=1, counts=COUNTS, **settings):
    return write_folder(
        root,
        maker or NoiseMaker(),
        counts,
        dict(seed=0, **settings),
        dict(classes=['noise']),
        sample_rate=8000,
        workers=workers,
    )


def contents(root):
    return {
        p.relative_to(root).as_posix(): p.read_bytes()
        for p in root.rglob('*')
        if p.is_file()
    }


def test_files(tmp_path):
    root = tmp_path / 'a' / 'world'
    assert write(root)
    assert (root / 'train.txt').read_text().splitlines() == [
        f'train_{i:05d}' for i in range(11)
    ]
    assert (root / 'test.txt').read_text() == 'test_00000\ntest_00001\n'
    annotations = json.loads((root / 'annotations.json').read_text())
    assert annotations['metainfo'] == {'classes': ['noise']}
    assert len(annotations['data_list']) == 14
    boxes = json.loads((root / 'vggss.json').read_text())
    assert boxes[0] == {
        'file': 'train_00000',
        'class': 'noise',
        'bbox': [[0.0, 0.25, 0.5, 1.0]],
    }
    assert [b['file'] for b in boxes[-2:]] == ['val_00000', 'test_00000']
    for entry in annotations['data_list']:
        split, index = entry['sample_id'].split('_')
        made = NoiseMaker()(split, int(index))
        assert cv2.imread(str(root / entry['img_path'])).shape == (16, 24, 3)
        audio, rate = soundfile.read(root / entry['audio_path'], dtype='int16')
        assert rate == 8000
        np.testing.assert_array_equal(audio, made.audio)
        assert soundfile.info(root / entry['audio_path']).subtype == 'PCM_16'


def test_groups_and_what_else_is_told(tmp_path):
    def with_groups(*names):
        every = dict(boxed=lambda e: bool(e['bboxes']), never=lambda e: False)
        return write_folder(
            tmp_path / 'world',
            NoiseMaker(),
            COUNTS,
            dict(seed=0),
            dict(classes=['noise']),
            sample_rate=8000,
            groups={name: every[name] for name in names},
            about=dict(kinds=['white']),
        )

    root = tmp_path / 'world'
    assert with_groups('boxed', 'never')
    boxed = (root / 'train_boxed.txt').read_text().split()
    assert boxed == [f'train_{i:05d}' for i in range(0, 11, 2)]
    assert (root / 'test_boxed.txt').read_text() == 'test_00000\n'
    assert (root / 'test_never.txt').read_text() == ''
    assert len((root / 'train.txt').read_text().split()) == 11
    told = json.loads((root / 'world.json').read_text())
    assert told == {'settings': {'seed': 0}, 'kinds': ['white']}
    assert not with_groups('boxed', 'never')
    (root / 'val_never.txt').unlink()
    assert not with_groups('boxed')
    message = r'^--out .*: 1 of its files are missing, such as val_never\.txt; '
    with pytest.raises(DataError, match=message + 'choose another --out or remove'):
        with_groups('boxed', 'never')


def test_same_bytes_for_any_workers(warm_spawn, tmp_path):
    write(tmp_path / 'one')
    write(tmp_path / 'two', workers=2)
    assert contents(tmp_path / 'one') == contents(tmp_path / 'two')


def test_written_once(tmp_path):
    root = tmp_path / 'world'
    assert write(root, size=(3, 4))
    # A second maker would leave other bytes.
    before = contents(root)
    assert not write(root, NoiseMaker(seed=1), size=(3, 4))
    assert contents(root) == before


def test_empty_folder_is_filled(tmp_path):
    assert write(tmp_path)


def test_failure_leaves_nothing(tmp_path):
    with pytest.raises(DataError, match='the maker failed'):
        write(tmp_path / 'world', NoiseMaker(fail_at=3))
    assert list(tmp_path.iterdir()) == []


def test_refusals(tmp_path):
    root = tmp_path / 'world'
    write(root)
    before = contents(root)
    with pytest.raises(DataError, match=r'size None \(asked: 3\)'):
        write(root, size=3)
    assert contents(root) == before
    (root / 'audio' / 'val_00000.wav').unlink()
    with pytest.raises(
        DataError, match=r'1 of its files are missing, such as audio/val_0'
    ):
        write(root)
    other = tmp_path / 'other'
    other.mkdir()
    (other / 'thesis.tex').write_text('precious')
    with pytest.raises(DataError, match='holds no generated clips'):
        write(other)
    (other / 'world.json').write_text('[1]')
    with pytest.raises(DataError, match='holds no generated clips'):
        write(other)
    assert (other / 'thesis.tex').read_text() == 'precious'
