import runpy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmxpl.datasets.dataset_wrappers import config_leaves
from mmxpl.registry import DATASETS

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools' / 'dataset_converters' / 'build_cache.py'
CONFIG = ROOT / 'configs' / 'xpl' / 'xpl_custom_vggss.py'


@pytest.fixture
def build(spoilable_world, monkeypatch):
    monkeypatch.setenv('MMXPL_DATA_ROOT', str(spoilable_world))
    monkeypatch.setenv('MMXPL_CACHE', str(spoilable_world / 'cache'))
    threads = torch.get_num_threads()
    main = runpy.run_path(str(TOOL))['main']
    yield lambda *arguments: main([str(CONFIG), *map(str, arguments)])
    torch.set_num_threads(threads)


def _first_samples(cfg):
    leaves = config_leaves([cfg.train_dataloader, cfg.test_dataloader])
    return [DATASETS.build(leaf)[0]['inputs'] for leaf in leaves]


def test_a_config_is_cached_and_trains_on_the_same(
    build, capsys, monkeypatch, spoilable_world
):
    build('--workers', 2)
    printed = capsys.readouterr().out
    assert 'cached_frames: 12 files' in printed
    assert 'cached_audio: 12 files' in printed
    with monkeypatch.context() as patch:
        patch.delenv('MMXPL_CACHE')
        plain = Config.fromfile(CONFIG)
        assert plain.load[0].cache is None
        wanted = _first_samples(plain)
    cached = Config.fromfile(CONFIG)
    assert cached.load[0].cache == str(spoilable_world / 'cache')
    for left, right in zip(wanted, _first_samples(cached), strict=True):
        assert all(torch.equal(left[key], right[key]) for key in left)


def test_what_fits_stays_and_what_does_not_is_replaced_if_told(
    build, capsys, spoilable_world
):
    build('--splits', 'val')
    facts = spoilable_world / 'cache' / 'cached_frames' / 'settings.json'
    before = facts.stat().st_mtime_ns
    build('--splits', 'val')
    assert 'cached_frames: 2 files, complete already' in capsys.readouterr().out
    assert facts.stat().st_mtime_ns == before
    with pytest.raises(SystemExit) as caught:
        build()
    assert caught.value.code == 2
    assert 'does not hold' in capsys.readouterr().err
    build('--overwrite')
    printed = capsys.readouterr().out
    assert 'is replaced' in printed
    assert 'cached_frames: 12 files' in printed


def test_a_config_without_cache_is_told_how(build, capsys, monkeypatch):
    monkeypatch.delenv('MMXPL_CACHE')
    with pytest.raises(SystemExit):
        build()
    assert 'LoadFrame of ' in (message := capsys.readouterr().err)
    assert 'MMXPL_CACHE=DIR' in message


def test_one_cache_has_one_setting(build, capsys):
    size = 'val_dataloader.dataset.pipeline.0.size=32'
    with pytest.raises(SystemExit):
        build('--cfg-options', size)
    assert 'cannot be of LoadFrame(size=(80, 80)' in capsys.readouterr().err
