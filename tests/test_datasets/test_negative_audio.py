import json

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmxpl.datasets import (
    AVJsonDataset,
    NegativeAudioDataset,
    av_collate,
    collect_ids,
)
from mmxpl.datasets.synthetic import preset, write_world
from mmxpl.registry import DATASETS, MODELS
from mmxpl.testing import tiny_model_cfg
from mmxpl.utils import DataError, hash_ids

IMAGE_SIZE, SAMPLE_RATE = 48, 8000  # what the tiny model reads
KINDS = ('original', 'silence', 'noise', 'shuffled', 'offscreen')


def inner_cfg(root, **overrides):
    cfg = dict(
        type='AVJsonDataset',
        data_root=str(root),
        labeled=True,
        test_mode=True,
        pipeline=[
            dict(type='LoadFrame', size=IMAGE_SIZE),
            dict(type='LoadAudio', sample_rate=SAMPLE_RATE, duration=0.5),
            dict(type='RasterizeTargets', size=32),
            dict(type='PackAVInputs'),
        ],
    )
    return {**cfg, **overrides}


def build(root, kinds=KINDS, seed=0, inner=None, **kwargs):
    return NegativeAudioDataset(
        inner_cfg(root, **(inner or {})), kinds=kinds, seed=seed, **kwargs
    )


def by_kind(dataset, clip):
    first = clip * len(dataset.kinds)
    return {
        dataset[i]['data_samples'].audio_kind: dataset[i]
        for i in range(first, first + len(dataset.kinds))
    }


def test_every_clip_with_every_kind(tiny_world):
    dataset = build(tiny_world)
    inner = AVJsonDataset(
        **{k: v for k, v in inner_cfg(tiny_world).items() if k != 'type'}
    )
    assert len(dataset) == 12 * 5
    for clip in (0, 5):
        original = inner[clip]
        own = by_kind(dataset, clip)
        assert tuple(own) == KINDS
        sample_id = original['data_samples'].sample_id
        for kind, packed in own.items():
            sample = packed['data_samples']
            suffix = '' if kind == 'original' else f'@{kind}'
            assert sample.sample_id == sample_id + suffix
            assert torch.equal(packed['inputs']['img'], original['inputs']['img'])
            audio = packed['inputs']['audio']
            assert audio.dtype == torch.float32
            assert audio.shape == original['inputs']['audio'].shape
            if kind == 'original':
                assert torch.equal(audio, original['inputs']['audio'])
                assert torch.equal(sample.gt_map, original['data_samples'].gt_map)
            else:
                assert not torch.equal(audio, original['inputs']['audio'])
                assert not sample.gt_map.any()
                assert sample.gt_instances.bboxes.shape == (0, 4)
        assert not own['silence']['inputs']['audio'].any()


def test_noise(tiny_world):
    loud, quiet = build(tiny_world), build(tiny_world, noise_std=0.1)
    noise = by_kind(loud, 3)['noise']['inputs']['audio']
    assert noise.std().item() == pytest.approx(1, abs=0.05)
    assert noise.mean().item() == pytest.approx(0, abs=0.05)
    assert noise.abs().max() > 2  # not clipped
    other = by_kind(quiet, 3)['noise']['inputs']['audio']
    torch.testing.assert_close(other, noise * 0.1)
    assert not torch.equal(noise, by_kind(loud, 4)['noise']['inputs']['audio'])


def test_swapped_sounds_suit_their_kind(tiny_world):
    dataset = build(tiny_world)
    entries = {
        e['audio_path'].rsplit('/', 1)[-1]: e
        for e in json.loads((tiny_world / 'annotations.json').read_text())['data_list']
    }
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        heard = entries[info['audio_path'].rsplit('/', 1)[-1]]
        own = heard['sample_id'] == info['sample_id'].split('@')[0]
        assert own == (info['audio_kind'] not in ('shuffled', 'offscreen'))
        if info['audio_kind'] == 'offscreen':
            shown = {o['category'] for o in info['objects']}
            sounds = {o['category'] for o in heard['objects'] if o['sounding']}
            assert not shown & sounds


def test_choice_depends_on_seed_and_ids_only(tiny_world):
    def choices(dataset):
        infos = map(dataset.get_data_info, range(len(dataset)))
        return {info['sample_id']: info['audio_path'] for info in infos}

    expected = choices(build(tiny_world))
    assert choices(build(tiny_world)) == expected
    assert choices(build(tiny_world, seed=1)) != expected
    # neither the other kinds nor the order of the list matter
    backwards = sorted(expected, reverse=True)
    ids = [i for i in backwards if '@' not in i]
    (tiny_world.parent / 'backwards.txt').write_text('\n'.join(ids) + '\n')
    part = build(
        tiny_world,
        kinds=['offscreen', 'shuffled'],
        inner=dict(id_list='../backwards.txt'),
    )
    found = choices(part)
    assert found == {i: path for i, path in expected.items() if i in found}
    assert len(found) == 24


def test_loaded_alike_whatever_came_before(tiny_world):
    one, other = build(tiny_world), build(tiny_world)
    batches = [
        torch.cat(
            [
                b['inputs']['audio']
                for b in DataLoader(d, batch_size=size, collate_fn=av_collate)
            ]
        )
        for d, size in ((one, 1), (other, 7))
    ]
    assert torch.equal(*batches)
    assert torch.equal(one[42]['inputs']['audio'], batches[0][42])


def test_meta_information(tiny_world):
    dataset = build(tiny_world)
    dataset.full_init()
    assert dataset.metainfo['n_expected'] == 60
    assert dataset.metainfo['classes'] == ['bell', 'drum', 'horn']
    assert 'id_list_hash' not in dataset.metainfo
    assert dataset.dataset.metainfo['n_expected'] == 12  # left as it was


def test_leak_check_sees_the_clips(tiny_world):
    cfg = dict(dataset=dict(type='NegativeAudioDataset', dataset=inner_cfg(tiny_world)))
    (ids,) = collect_ids(None, None, cfg).values()
    assert len(ids) == 12
    (built,) = collect_ids(None, None, [build(tiny_world)]).values()
    assert hash_ids(built) == hash_ids(ids)


def test_bad_settings(tiny_world):
    for kinds in (['music'], [], ['noise', 'noise']):
        with pytest.raises(ValueError, match='kinds must be'):
            build(tiny_world, kinds=kinds)
    with pytest.raises(ValueError, match='noise_std'):
        build(tiny_world, noise_std=0)
    with pytest.raises(DataError, match='labeled=True'):
        build(tiny_world, inner=dict(labeled=False))
    with pytest.raises(IndexError):
        build(tiny_world)[60]
    pipeline = inner_cfg(tiny_world)['pipeline']
    del pipeline[2]
    with pytest.raises(DataError, match='RasterizeTargets'):
        build(tiny_world, inner=dict(pipeline=pipeline))[1]


def test_no_sound_from_off_screen(spoilable_world):
    path = spoilable_world / 'annotations.json'
    content = json.loads(path.read_text())
    for entry in content['data_list']:
        del entry['objects']
        entry['category'] = 'bell'
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"suits 'clip-00' \(offscreen\)"):
        build(spoilable_world).full_init()
    build(spoilable_world, kinds=['original', 'shuffled']).full_init()
    content['data_list'][4]['objects'] = [{'category': 'bell'}]
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="'clip-04', field 'objects' .* 'sounding'"):
        build(spoilable_world).full_init()
    del content['data_list'][3]['category']
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="'clip-03' has no category"):
        build(spoilable_world).full_init()


@pytest.fixture(scope='module')
def synthetic(tmp_path_factory):
    root = tmp_path_factory.mktemp('synthetic') / 'world'
    config = preset(
        'easy', train=0, val=0, test=6, size=48, sample_rate=8000, duration=0.5
    )
    write_world(root, config)
    return root


def run_test(root, work_dir, batch_size):
    """Scores of an untrained XPL through the Runner."""
    import mmxpl.engine  # noqa: F401

    torch.manual_seed(0)
    # group normalisation: statistics of a batch depend on how it is divided
    runner = Runner(
        model=MODELS.build(tiny_model_cfg(norm='GN')),
        work_dir=str(work_dir),
        test_dataloader=dict(
            dataset=dict(
                type='NegativeAudioDataset',
                dataset=inner_cfg(root, id_list='test.txt'),
                kinds=KINDS,
            ),
            batch_size=batch_size,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='mmxpl.av_collate'),
        ),
        test_cfg=dict(),
        test_evaluator=[
            dict(type='NegativeAudioMetric'),
            dict(type='ExtendedMetric'),
            dict(type='BoxAPMetric', size=32),
        ],
        default_hooks=dict(logger=None, checkpoint=None),
        default_scope='mmxpl',
        randomness=dict(seed=0),
        experiment_name=f'negative_{batch_size}',
        log_level='ERROR',
    )
    return runner.test()


def test_through_the_runner(synthetic, tmp_path):
    scores = run_test(synthetic, tmp_path, 7)
    assert scores['negative/n_evaluated'] == scores['negative/n_expected'] == 30
    for model in ('a', 'b', 'ens'):
        for kind in KINDS[1:]:
            assert 0 <= scores[f'negative/{model}/pIA_{kind}'] <= 100
        assert 0 < scores[f'negative/{model}/threshold'] < 1
        assert scores[f'extended/{model}/max-F1'] >= 0
    assert all(np.isfinite(value) for value in scores.values())
    # an untrained net hears the difference of sounds, if only a little
    areas = {scores[f'negative/ens/pIA_{kind}'] for kind in KINDS[1:]}
    assert len(areas) > 1
    again = run_test(synthetic, tmp_path, 1)
    assert again == pytest.approx(scores, abs=0.5)


def test_registered():
    assert DATASETS.get('NegativeAudioDataset') is NegativeAudioDataset
