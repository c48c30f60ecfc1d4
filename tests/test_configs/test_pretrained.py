"""From frozen encoders to features, a training on them, a test and an inference."""

import math
import runpy
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner

from mmxpl.apis import XPLInferencer
from mmxpl.registry import MODELS
from mmxpl.utils.cli import load_config

ROOT = Path(__file__).resolve().parents[2] / 'configs'

CONFIG = ROOT / 'xpl/xpl_pretrained.py'
TOOL = ROOT.parent / 'tools/dataset_converters/build_cache.py'


@pytest.fixture
def weights(data, tmp_path, monkeypatch):
    """Random weights under the names that the config gives the pretrained ones."""
    monkeypatch.setenv('MMXPL_PRETRAINED', str(tmp_path))
    for localizer in load_config(str(CONFIG)).model.localizers.values():
        for part in ('visual_backbone', 'audio_encoder'):
            encoder = MODELS.build({**localizer[part], 'init_cfg': None})
            file = localizer[part].init_cfg.checkpoint
            torch.save(dict(state_dict=encoder.state_dict()), file)


@pytest.mark.slow
def test_features_train_xpl_and_other_media_are_localized(
    weights, data, tmp_path, train_shortly, monkeypatch
):
    monkeypatch.setenv('MMXPL_DATA_ROOT', str(data))
    threads = torch.get_num_threads()
    runpy.run_path(str(TOOL))['main']([str(CONFIG), '--workers', '1'])
    torch.set_num_threads(threads)

    runner, record = train_shortly(CONFIG, steps=2)
    assert all(math.isfinite(loss) for loss in record.losses.values())
    assert len(record.labels) == 3
    assert record.losses['a.loss_pseudo'] > 0
    trained = {id(p) for g in runner.optim_wrapper.param_groups for p in g['params']}
    encoders = [
        getattr(x, part)
        for x in runner.model.localizers.values()
        for part in ('visual_backbone', 'audio_encoder')
    ]
    assert not trained & {id(p) for encoder in encoders for p in encoder.parameters()}

    # the same clip by its features and by its media
    cfg = load_config(str(CONFIG))
    checkpoint = tmp_path / 'trained.pth'
    meta = dict(cfg=cfg.pretty_text)
    torch.save(dict(meta=meta, state_dict=runner.model.state_dict()), checkpoint)
    loader = Runner.build_dataloader(cfg.test_dataloader)
    batch = next(iter(loader))
    assert set(batch['inputs']) >= {'a.visual.0', 'a.visual.1', 'b.sound'}
    learner = runner.model.eval()
    with torch.no_grad():
        wanted = learner(**learner.data_preprocessor(batch), mode='predict')[0]
    # from the checkpoint alone, wherever the encoders' weights were
    for file in tmp_path.glob('*-*.pth'):
        file.unlink()
    inferencer = XPLInferencer(None, checkpoint, 'cpu', show_progress=False)
    pair = (wanted.img_path, wanted.audio_path)
    (found,) = inferencer(pair, return_datasamples=True)['predictions']
    for name in ('a', 'b', 'ens'):
        torch.testing.assert_close(
            found.pred_map.get(name), wanted.pred_map.get(name), atol=5e-3, rtol=0
        )
