import json
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
import soundfile

from mmxpl.datasets.synthetic import GeneratedClip, clip_id, write_folder
from mmxpl.utils import DataError

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
        progress=False,
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
            progress=False,
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
