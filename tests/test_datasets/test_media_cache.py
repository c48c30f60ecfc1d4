import copy
import hashlib
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mmxpl.datasets import (
    LoadAudio,
    LoadFrame,
    NegativeAudioDataset,
    VGGSSDataset,
    media_cache,
)
from mmxpl.datasets.media_cache import MediaCache, build_cache, decode_files
from mmxpl.utils import DataError

AUDIO = dict(sample_rate=16000, duration=0.75)  # resampled from 8 kHz


def _pipeline(cache):
    return [
        LoadFrame((40, 56), cache=cache),
        LoadAudio(**AUDIO, cache=cache),
        dict(type='RasterizeTargets', size=32),
        dict(type='PackAVInputs'),
    ]


def _dataset(root, cache=None, **options):
    options = dict(id_list='train.txt', labeled=True, **options)
    return VGGSSDataset(data_root=str(root), pipeline=_pipeline(cache), **options)


def _decoder(decode, workers=1):
    return lambda paths: decode_files(decode, paths, workers)


def _build(dataset, workers=1, **options):
    for step in dataset.pipeline.transforms[:2]:
        paths = [dataset.get_data_info(i)[step.path_key] for i in range(len(dataset))]
        build_cache(step.cache, _decoder(step.decode, workers), paths, **options)


@pytest.fixture(scope='module')
def cached_world(tiny_world, tmp_path_factory):
    """A world with a cache in it; only to be read."""
    root = Path(
        shutil.copytree(tiny_world, tmp_path_factory.mktemp('cached') / 'world')
    )
    _build(_dataset(root, root / 'cache'), workers=2)
    return root


@pytest.fixture
def world(cached_world, tmp_path):
    """A copy of that world, which the test may change."""
    return Path(shutil.copytree(cached_world, tmp_path / 'world'))


def _same(left, right):
    for key in ('img', 'audio'):
        a, b = left['inputs'][key], right['inputs'][key]
        assert a.dtype == b.dtype
        assert torch.equal(a, b)
    a, b = left['data_samples'], right['data_samples']
    assert a.metainfo == b.metainfo
    assert all(type(n) is int for n in b.ori_shape)
    assert torch.equal(a.gt_map, b.gt_map)


def test_samples_are_the_same_bit_for_bit(world, monkeypatch):
    plain = _dataset(world)
    wanted = [plain[i] for i in range(len(plain))]

    def refuse(*args):
        raise AssertionError('a file was decoded')

    monkeypatch.setattr(LoadFrame, 'decode', refuse)
    monkeypatch.setattr(LoadAudio, 'decode', refuse)
    cached = _dataset(world, world / 'cache')
    for index, left in enumerate(wanted):
        _same(left, cached[index])


def test_samples_with_sounds_of_other_clips_are_the_same(world):
    sets = [
        NegativeAudioDataset(_dataset(world, cache), kinds=('shuffled', 'offscreen'))
        for cache in (None, world / 'cache')
    ]
    for index in (0, 1, 7):
        _same(sets[0][index], sets[1][index])


def test_what_a_pipeline_changes_stays_out_of_the_cache(world):
    dataset = _dataset(world, world / 'cache')
    first = dataset[0]['inputs']
    before = {key: value.clone() for key, value in first.items()}
    for value in first.values():
        value.zero_()
    for key, value in dataset[0]['inputs'].items():
        assert torch.equal(value, before[key])


def test_workers_share_one_cache(world):
    dataset = _dataset(world, world / 'cache')
    first = dataset[0]  # opened before the workers start
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=None, num_workers=1, sampler=[0, 5]
    )
    loaded = list(loader)
    _same(first, loaded[0])
    _same(_dataset(world)[5], loaded[1])


def test_it_is_pickled_as_its_path(world):
    step = LoadFrame((40, 56), cache=world / 'cache')
    path = str(world / 'frames' / 'clip-00.jpg')
    image, _ = step.cache.read(path)
    assert len(pickle.dumps(step)) < 1000 < image.nbytes
    for twin in (pickle.loads(pickle.dumps(step)), copy.deepcopy(step)):
        assert twin.cache._data is None
        assert (twin.cache.read(path)[0] == image).all()


def test_cache_and_files_may_move_together(world, tmp_path):
    moved = tmp_path / 'elsewhere'
    shutil.move(world, moved)
    _same(_dataset(moved)[3], _dataset(moved, moved / 'cache')[3])
    shutil.move(moved / 'cache', tmp_path / 'cache')
    words = "is '../../elsewhere/frames/.*, while its files are below '../../frames'"
    with pytest.raises(DataError, match=words):
        _dataset(moved, tmp_path / 'cache')[3]


# what is refused


@pytest.mark.parametrize(
    ('step', 'message'),
    [
        (LoadFrame((56, 40)), r'size is \[40, 56\] and should be \[56, 40\]'),
        (LoadAudio(8000, 0.75), 'sample_rate is 16000 and should be 8000'),
        (LoadAudio(16000, 0.5), r'duration is 0\.75 and should be 0\.5'),
        (LoadAudio(16000, 0.75, 0), "offset is 'center' and should be 0"),
    ],
)
def test_other_settings_are_refused(world, step, message):
    cache = MediaCache(world / 'cache' / step.kind, step.settings)
    with pytest.raises(DataError, match=f'{message}.*build_cache.py'):
        cache.read(str(world / 'frames' / 'clip-00.jpg'))


def test_another_decoder_is_refused(world, monkeypatch):
    monkeypatch.setattr('cv2.__version__', '1.0')
    with pytest.raises(DataError, match="should be 'opencv 1.0'"):
        _dataset(world, world / 'cache')[0]


def test_a_changed_file_is_refused(world):
    dataset = _dataset(world, world / 'cache')
    assert dataset[0]
    path = world / 'audio' / 'clip-00.wav'
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    with pytest.raises(DataError, match=r'is stale.*clip-00\.wav.*changed'):
        dataset[0]
    assert dataset[1]
    frame = world / 'frames' / 'clip-01.jpg'
    stamp = frame.stat().st_mtime_ns
    frame.write_bytes(frame.read_bytes() + b'\0')
    os.utime(frame, ns=(0, stamp))
    with pytest.raises(DataError, match=r'is stale.*clip-01\.jpg'):
        dataset[1]


def test_a_clip_that_is_not_there_is_named(world):
    dataset = _dataset(world, world / 'cache', indices=1)
    other = VGGSSDataset(
        data_root=str(world), id_list='val.txt', pipeline=_pipeline(world / 'cache')
    )
    assert dataset[0]
    with pytest.raises(DataError, match=r"does not hold '.*clip-08\.jpg'.*CONFIG"):
        other[0]


def test_no_cache_and_a_gone_file_are_named(world):
    with pytest.raises(DataError, match='there is no such cache. Build it'):
        _dataset(world, world / 'none')[0]
    (world / 'frames' / 'clip-00.jpg').unlink()
    with pytest.raises(DataError, match=r'clip-00\.jpg: the file cannot be read'):
        LoadFrame((40, 56), world / 'cache').cache.read(
            str(world / 'frames' / 'clip-00.jpg')
        )


@pytest.mark.parametrize('name', ['data.npy', 'index.npy', 'settings.json'])
@pytest.mark.parametrize('damage', ['cut', 'gone', 'empty'])
def test_damage_is_refused(world, name, damage):
    path = world / 'cache' / 'cached_frames' / name
    content = path.read_bytes()
    path.write_bytes(b'' if damage == 'empty' else content[: len(content) // 2])
    if damage == 'gone':
        path.unlink()
    with pytest.raises(DataError, match=r'cached_frames: the cache .*--overwrite'):
        _dataset(world, world / 'cache')[0]


def test_an_index_of_another_cache_is_refused(world):
    other = _dataset(world, world / 'other', indices=4)
    _build(other)
    for name in ('index.npy', 'data.npy'):
        mixed = shutil.copytree(world / 'cache', world / f'mixed-{name}')
        shutil.copy(world / 'other' / 'cached_frames' / name, mixed / 'cached_frames')
        with pytest.raises(DataError, match=rf'is damaged: {name}'):
            _dataset(world, mixed)[0]


# building


@pytest.fixture
def stopped(world, monkeypatch):
    """A build that was stopped after four of twelve frames, two of them on the disk."""
    monkeypatch.setattr(media_cache, 'FLUSH', 2)
    step = LoadFrame(24, world / 'new')
    paths = [str(p) for p in sorted((world / 'frames').iterdir())]
    decoded = []

    def decode(path):
        decoded.append(path)
        if len(decoded) == 4:
            raise KeyboardInterrupt
        return step.decode(path)

    with pytest.raises(KeyboardInterrupt):
        build_cache(step.cache, _decoder(decode), paths)
    with pytest.raises(DataError, match='no such cache'):
        step.cache.read(paths[0])
    return step, paths


def _build_again(step, paths):
    decoded = []

    def decode(path):
        decoded.append(path)
        return step.decode(path)

    build_cache(step.cache, _decoder(decode), paths)
    for path in paths:
        assert (step.cache.read(path)[0] == step.decode(path)[0]).all()
    assert [p.name for p in step.cache.folder.parent.iterdir()] == ['cached_frames']
    return decoded


def test_a_stopped_build_goes_on_where_it_ended(stopped):
    step, paths = stopped
    assert _build_again(step, paths) == paths[2:]


def test_rows_of_files_that_changed_are_made_again(stopped):
    step, paths = stopped
    os.utime(paths[1], ns=(0, 1))
    assert _build_again(step, paths) == paths[1:]


@pytest.mark.parametrize('name', ['data.npy', 'journal', 'settings.json'])
def test_a_stopped_build_that_was_harmed_starts_anew(stopped, name):
    step, paths = stopped
    (step.cache.folder.with_name('cached_frames.part') / name).write_bytes(b'?')
    assert _build_again(step, paths) == paths


def test_a_stopped_build_of_other_settings_or_files_starts_anew(stopped, world):
    step, paths = stopped
    assert _build_again(step, paths[:-1]) == paths[:-1]
    other = LoadFrame(20, world / 'new')
    shutil.move(step.cache.folder, step.cache.folder.with_name('cached_frames.part'))
    assert _build_again(other, paths) == paths


def test_one_build_at_a_time(world):
    step = LoadFrame(24, world / 'new')
    paths = [str(p) for p in sorted((world / 'frames').iterdir())]

    def decode(path):
        with pytest.raises(DataError, match=r'cached_frames\.part: another build'):
            build_cache(step.cache, _decoder(step.decode), paths)
        return step.decode(path)

    build_cache(step.cache, _decoder(decode), paths)
    assert step.cache.read(paths[0])


def test_all_bad_files_are_named_and_nothing_is_built(world):
    for number in (2, 5):
        (world / 'frames' / f'clip-0{number}.jpg').write_bytes(b'no picture')
    dataset = _dataset(world, world / 'new')
    with pytest.raises(DataError, match=r'2 of 8 files.*clip-02\.jpg.*clip-05\.jpg'):
        _build(dataset, workers=2)
    assert list((world / 'new').iterdir()) == []


def test_only_a_cache_is_replaced_and_only_if_told(world):
    stale = _dataset(world, world / 'cache', indices=2)
    before = (world / 'cache' / 'cached_frames' / 'index.npy').read_bytes()
    with pytest.raises(DataError, match='exists already.*--overwrite'):
        _build(stale)
    assert (world / 'cache' / 'cached_frames' / 'index.npy').read_bytes() == before
    _build(stale, overwrite=True)
    assert sorted(p.name for p in (world / 'cache').iterdir()) == [
        'cached_audio',
        'cached_frames',
    ]
    assert stale[1]
    photos = MediaCache(world / 'frames', {})
    with pytest.raises(DataError, match='frames: exists already'):
        build_cache(photos, None, [], overwrite=True)
    assert len(list((world / 'frames').iterdir())) == 12


def test_a_full_disk_is_said_before_and_on_the_way(world, monkeypatch):
    dataset = _dataset(world, world / 'new')
    with monkeypatch.context() as patch:
        patch.setattr(media_cache.shutil, 'disk_usage', lambda path: (9, 9, 0))
        with pytest.raises(DataError, match='needs [1-9].* kB, the disk has 0 b'):
            _build(dataset)
    shutil.rmtree(world / 'new')

    def full(file):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(media_cache, '_sync', full)
    with pytest.raises(DataError, match='could not be written.*No space left'):
        _build(dataset)
    with pytest.raises(DataError, match='no such cache'):
        dataset[0]


def test_rows_follow_the_files_and_keys_are_sorted(world):
    step = LoadFrame((40, 56), world / 'cache')
    path = str(world / 'frames' / 'clip-04.jpg')
    step.cache.read(path)
    data = np.load(world / 'cache' / 'cached_frames' / 'data.npy', mmap_mode='r')
    assert (data[4] == step.decode(path)[0]).all()
    assert (np.diff(step.cache._index['row']) != 1).any()
    assert list(step.cache._keys) == sorted(step.cache._keys)
    assert not step.cache._data.flags.writeable


@pytest.mark.parametrize('folder', ['/data/cache', 'cache', '/'])
def test_keys_are_of_names_relative_to_the_cache(folder):
    cache = MediaCache(folder, {})
    paths = ['a.jpg', '/a.jpg', 'x/a.jpg', './x//a.jpg', 'x/../a.jpg', '/data/a.jpg']
    for path in [*paths, *paths, 'x/..', '/data/cache/a.jpg', 'x/a.wav#t=1.000000']:
        name = os.path.relpath(path, cache.folder)
        expected = hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
        assert cache.key(path) == expected.encode()
