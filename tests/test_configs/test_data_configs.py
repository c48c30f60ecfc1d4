"""The configs of real data find lists and files where the documents put them."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.structures import PixelData

from mmxpl.datasets import check_disjoint, collect_ids
from mmxpl.engine.optim import count_warmup_epochs
from mmxpl.registry import DATASETS, METRICS
from mmxpl.utils.cli import load_config

ROOT = Path(__file__).resolve().parents[2] / 'configs' / 'xpl'
# the lists of each config and, of the test, the kind of ground truth
LISTS = {
    'xpl_vggss.py': ('lists/144k', 'boxes'),
    'xpl_vggss_10k.py': ('lists/10k', 'boxes'),
    'xpl_vggss_openset.py': ('lists/openset', 'boxes'),
    'xpl_vggss_flickr_labels.py': ('lists/flickr_labels', 'boxes'),
    'xpl_flickr_144k.py': ('lists/144k', 'consensus'),
    'xpl_flickr_10k.py': ('lists/10k', 'consensus'),
}
# of those that only test otherwise: the training's, the samples, those of them whose
# sound is of elsewhere, and a score
TESTS = {
    'xpl_vggss_extended.py': ('xpl_vggss_flickr_labels.py', 3, 1, 'extended/a/LocAcc'),
    'xpl_flickr_extended.py': ('xpl_flickr_144k.py', 3, 1, 'extended/a/LocAcc'),
    'xpl_vggss_negatives.py': ('xpl_vggss_flickr_labels.py', 8, 6, 'negative/a/F'),
    'xpl_vggsound_duet.py': ('xpl_vggss_flickr_labels.py', 2, 0, 'multi_source/a/AP'),
}


def test_every_config_of_real_data_is_tested():
    found = {p.name for kind in ('vgg', 'flickr') for p in ROOT.glob(f'xpl_{kind}*.py')}
    assert found == {*LISTS, *TESTS}


@pytest.mark.parametrize('name', TESTS)
def test_another_test_of_the_same_training(data, name):
    trained, count, num_empty, key = TESTS[name]
    (data / 'lists/flickr_test.csv').write_text('clip-10\nclip-11\n')
    for kind in ('vggss', 'flickr'):
        pairs = 'video,audio,label\nclip-10,clip-03,non-sounding\n'
        (data / f'lists/{kind}_test_plus_silent.csv').write_text(pairs)
    pairs = 'clip-10,a,clip-11,b\nclip-11,b,clip-10,a\n'
    (data / 'lists/vggsound_duet_test.csv').write_text(pairs)
    cfg, base = (Config.fromfile(ROOT / n) for n in (name, trained))
    changed = {k for k in {*cfg, *base} if cfg.get(k) != base.get(k)}
    assert changed - {'test_lists'} == {'test_dataloader', 'test_evaluator'}
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    assert len(dataset) == count
    metric = METRICS.build(cfg.test_evaluator)
    metric.dataset_meta = dataset.metainfo
    samples = [dataset[i]['data_samples'] for i in range(count)]
    assert sum(not s.gt_map.any() for s in samples) == num_empty
    for i, sample in enumerate(samples):
        truth = 0.1 + 0.8 * sample.gt_map[None] + 0.01 * (i == 0)
        sample.pred_map = PixelData(a=truth, b=truth, ens=truth)
        metric.process(None, [sample.to_dict()])
    scores = metric.evaluate(count)
    assert 0 <= scores[key] <= 100
    assert scores[f'{metric.default_prefix}/n_expected'] == count


@pytest.mark.parametrize('name', LISTS)
def test_lists_and_targets(data, name):
    folder, source = LISTS[name]
    cfg = Config.fromfile(ROOT / name)
    parts = collect_ids(cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader)
    check_disjoint(parts)
    labeled, unlabeled, val, test = parts.values()
    assert labeled == ['clip-00', 'clip-01']
    assert unlabeled == [f'clip-{n:02d}' for n in range(6, 10)]
    assert val == ['clip-02', 'clip-03']
    whole = 'openset' in folder or 'flickr_labels' in folder
    assert test == (['clip-10', 'clip-11'] if whole else ['clip-04', 'clip-05'])

    train = [DATASETS.build(one) for one in cfg.train_dataloader.dataset.datasets]
    evaluated = [
        DATASETS.build(cfg[f'{s}_dataloader'].dataset) for s in ('val', 'test')
    ]
    samples = [one[0]['data_samples'] for one in (*train, *evaluated)]
    assert [s.is_labeled for s in samples] == [True, False, True, True]
    assert [folder in train[1].source, train[1].labeled] == [True, False]
    assert 'gt_map' not in samples[1]
    # half a vote where one annotator drew, a whole one in a box of VGG-SS
    assert samples[3].gt_map.max() == (0.5 if source == 'consensus' else 1)
    trained_on = 1 if source == 'boxes' and 'flickr' not in name else 0.5
    assert samples[0].gt_map.max() == samples[2].gt_map.max() == trained_on
    assert all(one.metainfo['n_expected'] == 2 for one in evaluated)


@pytest.mark.parametrize('name', LISTS)
def test_a_shorter_training_is_as_a_whole(data, name):
    cfg = load_config(str(ROOT / name), {'train_cfg.max_epochs': 4})
    train_cfg = cfg.train_cfg
    assert count_warmup_epochs(train_cfg.warmup_epochs, train_cfg.max_epochs) == 1
    # nothing else says how long the training is
    assert set(cfg.train_dataloader.sampler.curriculum) == {'start', 'end'}
    assert all({'end', 'T_max'}.isdisjoint(one) for one in cfg.param_scheduler)
    assert 'data_leak' in cfg.default_hooks
