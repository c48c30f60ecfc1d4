import re
import runpy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmxpl.datasets.transforms import LoadFeatures, LoadFrame
from mmxpl.registry import MODELS

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs' / 'xpl' / 'xpl_synthetic.py'
TOOL = runpy.run_path(str(ROOT / 'tools/analysis_tools/get_flops.py'))
main, clip_size = TOOL['main'], TOOL['clip_size']


def count_by_hand(localizer, inputs):
    """Multiply-adds, layer by layer."""
    total = []

    def convolution(layer, _, out):
        total.append(out.numel() * layer.weight[0].numel())

    def linear(layer, _, out):
        total.append(out.numel() * layer.in_features)

    def normalisation(layer, _, out):
        total.append(2 * out.numel())  # scale and shift

    for layer in localizer.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(convolution)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.register_forward_hook(normalisation)
        elif isinstance(layer, nn.Linear):
            layer.register_forward_hook(linear)
    out = localizer(inputs)
    # the similarity: one product of D numbers for every cell
    return sum(total) + out.visual.numel()


def test_operations_are_those_counted_by_hand(capsys):
    main([str(CONFIG), '--shape', '64'])
    printed = capsys.readouterr().out
    assert 'frame 64 x 64, sound of 48000 samples' in printed
    learner = MODELS.build(Config.fromfile(CONFIG).model).eval()
    clip = dict(img=torch.zeros(1, 3, 64, 64).byte(), audio=torch.zeros(1, 48000))
    inputs = learner.data_preprocessor.prepare(dict(inputs=clip))['inputs']
    found = re.findall(r'localizer (\w): ([\d.]+) M operations, ([\d.]+) M', printed)
    assert [name for name, *_ in found] == ['a', 'b']
    for name, operations, weights in found:
        localizer = learner.localizers[name]
        expected = count_by_hand(localizer, inputs) / 1e6
        assert float(operations) == pytest.approx(expected, abs=0.06)
        size = sum(p.numel() for p in localizer.parameters()) / 1e6
        assert float(weights) == pytest.approx(size, abs=6e-4)


def test_frames_and_sounds_are_found_inside_of_features(tmp_path):
    load = dict(
        type='LoadFeatures',
        frame=dict(type='LoadFrame', size=(20, 30)),
        audio=dict(type='LoadAudio', sample_rate=100, duration=2.5),
        cache='none',
    )
    cfg = dict(test_dataloader=dict(dataset=dict(pipeline=[load])))
    assert clip_size(cfg, None) == ((20, 30), 250)
    # as a lazy config has it
    load.update(type=LoadFeatures, frame=dict(type=LoadFrame, size=(20, 30)))
    assert clip_size(cfg, None) == ((20, 30), 250)


def test_a_config_without_data_is_refused(tmp_path, capsys):
    config = tmp_path / 'empty.py'
    config.write_text('model = dict()\n')
    with pytest.raises(SystemExit):
        main([str(config)])
    assert 'no data set that loads' in capsys.readouterr().err
