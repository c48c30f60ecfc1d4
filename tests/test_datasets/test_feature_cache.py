import io
import json
import os
import pickle
import runpy
import shutil
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import pytest
import torch
from mmengine.config import Config

from mmxpl.apis.inference import clip_pipeline
from mmxpl.datasets import DuetDataset, NegativeAudioDataset, VGGSSDataset, av_collate
from mmxpl.datasets.feature_cache import FeatureCache
from mmxpl.engine import EncoderInputHook
from mmxpl.registry import MODELS, TRANSFORMS
from mmxpl.testing import tiny_batch, tiny_model_cfg
from mmxpl.utils import DataError

pytestmark = pytest.mark.xdist_group('features')  # they are computed once

TOOL = Path(__file__).parents[2] / 'tools/dataset_converters/build_cache.py'
FRAME = dict(type='LoadFrame', size=48)
AUDIO = dict(type='LoadAudio', sample_rate=8000, duration=1.0)


def frozen_model(**overrides):
    cfg = tiny_model_cfg(**overrides)
    for localizer in cfg['localizers'].values():
        localizer.update(frozen=True, hidden_dim=8, feature_norm=True)
    # two maps, of 12 x 12 and 6 x 6 cells
    a = cfg['localizers']['a']
    a['visual_backbone'] = dict(a['visual_backbone'], out_indices=(0, 1))
    return cfg


def pipeline(cache, frame=FRAME):
    return [
        dict(type='LoadFeatures', frame=frame, audio=AUDIO, cache=cache and str(cache)),
        dict(type='RasterizeTargets', size=32),
        dict(type='PackAVInputs'),
    ]


def dataset(root, cache, frame=FRAME, **kwargs):
    steps = pipeline(cache, frame)
    return VGGSSDataset(
        data_root=str(root), id_list='test.txt', labeled=True, pipeline=steps, **kwargs
    )


@pytest.fixture(scope='module')
def seeded_weights(tmp_path_factory):
    """A checkpoint of the whole model, so that every build has the same weights."""
    torch.manual_seed(3)
    model = MODELS.build(frozen_model())
    path = tmp_path_factory.mktemp('weights') / 'seed.pth'
    torch.save(dict(state_dict=model.state_dict()), path)
    return str(path)


def run_tool(world, path, weights, *arguments, seeded=True, **changes):
    """Runs the tool on a config with frozen encoders; returns the config."""
    init_cfg = dict(type='Pretrained', checkpoint=weights)
    model = frozen_model(init_cfg=init_cfg if seeded else None)
    for name in model['localizers']:
        change = changes.get(name, {})
        former = {} if change.pop('_delete_', False) else model['localizers'][name]
        model['localizers'][name] = {**former, **change}
    loader = dict(
        dataset=dict(
            type='VGGSSDataset',
            data_root=str(world),
            id_list='test.txt',
            labeled=True,
            pipeline=pipeline(world / 'features'),
        )
    )
    cfg = Config(dict(model=model, test_dataloader=loader), format_python_code=False)
    cfg.dump(path)
    threads = torch.get_num_threads()
    try:
        # the tool sets variables, which a fixture of the module would leave
        with patch.dict(os.environ):
            runpy.run_path(str(TOOL))['main'](
                [str(path), '--workers', '1', '--device', 'cpu', *arguments]
            )
    finally:
        torch.set_num_threads(threads)
    return cfg


@pytest.fixture
def build(spoilable_world, seeded_weights, tmp_path):
    """Gives the tool on a world of one's own."""
    return partial(run_tool, spoilable_world, tmp_path / 'config.py', seeded_weights)


@pytest.fixture(scope='module')
def built(tiny_world, seeded_weights, tmp_path_factory):
    """Features that are only read: their world, config, what was said, and again."""
    folder = tmp_path_factory.mktemp('built')
    world = Path(shutil.copytree(tiny_world, folder / 'world'))
    again = partial(run_tool, world, folder / 'config.py', seeded_weights)
    with redirect_stdout(io.StringIO()) as printed:
        cfg = again()
    return SimpleNamespace(
        world=world,
        features=world / 'features',
        cfg=cfg,
        printed=printed.getvalue(),
        again=again,
    )


def predict(model, samples):
    batch = model.data_preprocessor(av_collate(samples), False)
    return model(**batch, mode='tensor')


def test_maps_of_features_are_those_of_the_media(built):
    assert 'visual-' in built.printed
    model = MODELS.build(built.cfg.model)
    model.init_weights()
    model.eval()
    from_media = dataset(built.world, None)
    from_cache = dataset(built.world, built.features)
    samples = [[data[i] for i in range(len(data))] for data in (from_media, from_cache)]
    assert set(samples[1][0]['inputs']) == {
        'a.visual.0',
        'a.visual.1',
        'a.sound',
        'b.visual.0',
        'b.sound',
    }
    assert (
        samples[0][0]['data_samples'].metainfo == samples[1][0]['data_samples'].metainfo
    )
    wanted, found = (predict(model, part) for part in samples)
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], atol=2e-3, rtol=0)
        assert wanted[name].std() > 0.02


def test_what_two_localizers_share_is_stored_once(
    build, spoilable_world, seeded_weights
):
    shared = frozen_model()['localizers']['b']
    for part in ('visual_backbone', 'audio_encoder'):
        prefix = f'localizers.b.{part}.'
        shared[part]['init_cfg'] = dict(
            type='Pretrained', checkpoint=seeded_weights, prefix=prefix
        )
    build(seeded=False, a=dict(shared, _delete_=True), b=shared)
    folder = spoilable_world / 'features'
    manifest = json.loads((folder / 'features.json').read_text())
    kinds = {name: {k: v['folder'] for k, v in manifest[name].items()} for name in 'ab'}
    assert kinds['a'] == kinds['b']
    assert len(list(folder.iterdir())) == 3


def test_the_features_are_those_of_the_method(build, spoilable_world, tmp_path):
    method = tmp_path / 'same.py'
    method.write_text("model = dict(localizers=dict(b='a'))\n")
    build('--method', str(method))
    manifest = json.loads((spoilable_world / 'features/features.json').read_text())
    a, b = (manifest[name]['sound']['settings']['encoder'] for name in 'ab')
    assert a == b


def test_a_second_build_finds_everything_there(built, capsys):
    built.again()
    assert capsys.readouterr().out.count('complete already') == 4


def test_trained_encoders_have_no_cache(build, capsys):
    with pytest.raises(SystemExit):
        build(b=dict(frozen=['visual_backbone']))
    assert 'b.audio_encoder is trained' in capsys.readouterr().err


def test_a_folder_of_other_encoders_is_kept_unless_told(
    built, build, spoilable_world, capsys
):
    shutil.copytree(built.features, spoilable_world / 'features')
    other = frozen_model()['localizers']['b']['audio_encoder']
    with pytest.raises(SystemExit):
        build(b=dict(audio_encoder=dict(other, depths=(2, 1))))
    assert 'is of other encoders' in capsys.readouterr().err
    build('--overwrite', b=dict(audio_encoder=dict(other, depths=(2, 1))))


def test_frames_read_otherwise_are_refused(built):
    other = dataset(built.world, built.features, dict(FRAME, size=40))
    with pytest.raises(DataError, match=r"read otherwise.*'size': \[40, 40\]"):
        other[0]


def test_no_features_name_the_command(spoilable_world):
    data = dataset(spoilable_world, spoilable_world / 'nowhere')
    with pytest.raises(DataError, match=r'features.json: .*build_cache.py CONFIG'):
        data[0]


def check(model, data):
    """Runs the hook on a test of a model and a data set."""
    runner = SimpleNamespace(
        model=model,
        test_loop=SimpleNamespace(dataloader=SimpleNamespace(dataset=data)),
    )
    EncoderInputHook().before_test(runner)


def test_features_of_other_weights_are_refused(built):
    model = MODELS.build(built.cfg.model)
    model.init_weights()
    data = dataset(built.world, built.features)
    check(model, data)
    model.localizers['a'].visual_projection.levels[0].weight.data.zero_()
    check(model, data)  # what is trained may differ
    model.localizers['a'].audio_encoder.backbone.bn1.running_mean[0] += 1
    with pytest.raises(DataError, match=r"localizer 'a' \(sound\).*other weights"):
        check(model, data)


@pytest.mark.parametrize('features', [True, False])
def test_sounds_of_another_rate_are_refused(spoilable_world, features):
    model = MODELS.build(frozen_model())
    data = dataset(spoilable_world, None)
    audio = data.pipeline.transforms[0].audio
    if not features:
        data.pipeline.transforms = [audio]
    check(model, data)
    audio.sample_rate = 16000
    with pytest.raises(DataError, match='read at 16000 Hz.*log_mel.* is for 8000 Hz'):
        check(model, data)


def test_other_clips_are_read_from_media(built):
    steps = [TRANSFORMS.build(step) for step in clip_pipeline(built.cfg)]
    assert [type(step).__name__ for step in steps] == [
        'LoadFrame',
        'LoadAudio',
        'RasterizeTargets',
        'PackAVInputs',
    ]


def test_what_changes_media_refuses_features(built):
    inner = dataset(built.world, built.features)
    with pytest.raises(DataError, match='DuetDataset.*cache=None'):
        DuetDataset(inner)[0]
    with pytest.raises(DataError, match='silence.*cache=None'):
        NegativeAudioDataset(inner, kinds=('silence',))[0]
    # the features of another clip's sound are there
    shuffled = NegativeAudioDataset(inner, kinds=('shuffled',))[0]['inputs']['a.sound']
    assert any(torch.equal(shuffled, inner[i]['inputs']['a.sound']) for i in range(2))
    assert not torch.equal(shuffled, inner[0]['inputs']['a.sound'])


def test_views_of_features_keep_targets_aligned():
    model = MODELS.build(
        frozen_model(
            data_preprocessor=dict(
                type='AVDataPreprocessor',
                augment=dict(
                    min_area=1.0,
                    max_stretch=1.0,
                    flip=1.0,
                    brightness=0,
                    contrast=0,
                    saturation=0,
                ),
            )
        )
    )
    data = tiny_batch(labeled=2, unlabeled=0)
    maps = [s.gt_map.clone() for s in data['data_samples']]
    features = torch.rand(2, 4, 5, 3).half()
    data['inputs'] = {'a.visual.0': features, 'a.sound': torch.rand(2, 7).half()}
    out = model.data_preprocessor(data, True)
    found = out['inputs']['a.visual.0']
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, features.float().permute(0, 3, 1, 2).flip(-1))
    for before, sample in zip(maps, out['data_samples'], strict=True):
        torch.testing.assert_close(sample.gt_map, before.flip(-1), atol=1e-4, rtol=0)


def test_colours_of_features_cannot_be_changed():
    model = MODELS.build(
        frozen_model(data_preprocessor=dict(type='AVDataPreprocessor', augment=dict()))
    )
    data = tiny_batch()
    data['inputs'] = {'a.visual.0': torch.rand(5, 4, 5, 3)}
    with pytest.raises(ValueError, match='colours of cached features'):
        model.data_preprocessor(data, True)


def test_sounds_are_swapped_among_a_share_of_the_clips(spoilable_world):
    plain = VGGSSDataset(data_root=str(spoilable_world), id_list='train.txt')
    wild = VGGSSDataset(
        data_root=str(spoilable_world), id_list='train.txt', audio_swap=0.5
    )
    infos = [(plain.get_data_info(i), wild.get_data_info(i)) for i in range(len(plain))]
    changed = [
        i for i, (a, b) in enumerate(infos) if a['audio_path'] != b['audio_path']
    ]
    assert len(changed) == len(plain) // 2
    for index in (0, 1):
        assert sorted(pair[0]['audio_path'] for pair in infos) == sorted(
            pair[index]['audio_path'] for pair in infos
        )
    assert all(a['img_path'] == b['img_path'] for a, b in infos)


def test_a_cache_is_pickled_without_its_files(built):
    data = dataset(built.world, built.features)
    data[0]
    step = data.pipeline.transforms[0]
    assert isinstance(step.cache, FeatureCache)
    twin = pickle.loads(pickle.dumps(step))
    assert twin.cache._parts is None
    info = data.get_data_info(0)
    assert torch.equal(
        torch.from_numpy(twin.cache.read(step.sources(info))[0]['a.sound']),
        data[0]['inputs']['a.sound'],
    )
