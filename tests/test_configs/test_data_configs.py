"""The configs of real data find lists and files where the documents put them."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmxpl.datasets import check_disjoint, collect_config_ids
from mmxpl.registry import DATASETS

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
XML = (
    '<annotation><person><bbox><id>1</id><xmin>0</xmin><ymin>0</ymin>'
    '<xmax>128</xmax><ymax>128</ymax></bbox></person></annotation>'
)


def _write_lists(folder, **parts):
    folder.mkdir(parents=True, exist_ok=True)
    for name, numbers in parts.items():
        ids = ''.join(f'clip-{n:02d}\n' for n in numbers)
        (folder / f'{name}.txt').write_text(ids)


@pytest.fixture
def data(spoilable_world, monkeypatch):
    """One folder that serves as both data sets, with all lists."""
    root = spoilable_world
    for name in {folder for folder, _ in LISTS.values()}:
        _write_lists(
            root / name,
            labelled=range(0, 2),
            val=range(2, 4),
            test=range(4, 6),
            unlabelled=range(6, 10),
        )
    for name in ('vggss_test.csv', 'vggss_unheard_test.csv'):
        (root / 'lists' / name).write_bytes(b'clip-10,1\r\nclip-11,2\r\n')
    (root / 'Annotations').mkdir()
    for n in range(12):
        (root / 'Annotations' / f'clip-{n:02d}.xml').write_text(XML)
    monkeypatch.setenv('MMXPL_DATA_ROOT', str(root))
    monkeypatch.setenv('MMXPL_FLICKR_ROOT', str(root))
    return root


def test_every_config_of_real_data_is_tested():
    found = {p.name for p in ROOT.glob('xpl_vggss*.py')}
    found |= {p.name for p in ROOT.glob('xpl_flickr*.py')}
    assert found == set(LISTS)


@pytest.mark.parametrize('name', LISTS)
def test_lists_and_targets(data, name):
    folder, source = LISTS[name]
    cfg = Config.fromfile(ROOT / name)
    parts = collect_config_ids(cfg)
    check_disjoint(parts)
    labelled, unlabelled, val, test = parts.values()
    assert labelled == ['clip-00', 'clip-01']
    assert unlabelled == [f'clip-{n:02d}' for n in range(6, 10)]
    assert val == ['clip-02', 'clip-03']
    whole = 'openset' in folder or 'flickr_labels' in folder
    assert test == (['clip-10', 'clip-11'] if whole else ['clip-04', 'clip-05'])

    train = [DATASETS.build(one) for one in cfg.train_dataloader.dataset.datasets]
    evaluated = [
        DATASETS.build(cfg[f'{s}_dataloader'].dataset) for s in ('val', 'test')
    ]
    samples = [one[0]['data_samples'] for one in (*train, *evaluated)]
    assert [s.is_labelled for s in samples] == [True, False, True, True]
    assert [folder in train[1].source, train[1].labelled] == [True, False]
    assert 'gt_map' not in samples[1]
    # half a vote where one annotator drew, a whole one in a box of VGG-SS
    assert samples[3].gt_map.max() == (0.5 if source == 'consensus' else 1)
    trained_on = 1 if source == 'boxes' and 'flickr' not in name else 0.5
    assert samples[0].gt_map.max() == samples[2].gt_map.max() == trained_on
    assert all(one.metainfo['n_expected'] == 2 for one in evaluated)


@pytest.mark.parametrize('name', LISTS)
def test_curriculum_warm_up_and_schedule_agree(data, name):
    cfg = Config.fromfile(ROOT / name)
    (hook,) = (h for h in cfg.custom_hooks if h['type'] == 'CrossPseudoLabelHook')
    curriculum = cfg.train_dataloader.sampler.curriculum
    assert hook['warmup_epochs'] == curriculum['begin']
    assert curriculum['until'] == cfg.train_cfg.max_epochs
    assert cfg.param_scheduler[1]['T_max'] == cfg.train_cfg.max_epochs
    assert 'DataLeakHook' in [h['type'] for h in cfg.custom_hooks]
