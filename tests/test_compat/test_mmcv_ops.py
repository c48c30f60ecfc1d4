import subprocess
import sys

import pytest

from mmxpl import compat


def in_new_process(code):
    """Runs code in an interpreter that has imported nothing of MMCV."""
    result = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


@pytest.mark.skipif(compat.has_mmcv_ops(), reason='MMCV has its operators')
def test_mmdet_imports_and_a_called_operator_names_itself():
    out = in_new_process(
        'from mmxpl.compat import ensure_mmcv_ops, has_mmcv_ops\n'
        'ensure_mmcv_ops(); ensure_mmcv_ops()\n'
        'import mmdet.models, mmcv.ops, torch\n'
        'from mmengine.utils.dl_utils.misc import mmcv_full_available\n'
        'print(has_mmcv_ops(), mmcv_full_available())\n'
        'try:\n'
        '    mmcv.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)\n'
        'except RuntimeError as error:\n'
        '    print(str(error))\n'
    )
    # both still see that there are no operators, nor do they fail over the stand-in
    assert out[:2] == ['False', 'False']
    message = ' '.join(out[2:])
    assert "'nms'" in message
    assert 'pip install' in message


@pytest.mark.skipif(compat.has_mmcv_ops(), reason='MMCV has its operators')
@pytest.mark.parametrize(
    'cfg',
    [
        {'type': 'mmdet.ResNet', 'depth': 18},
        {
            'type': 'mmdet.SwinTransformer',
            'embed_dims': 24,
            'depths': (1, 1, 1, 1),
            'num_heads': (1, 2, 4, 8),
        },
        {'type': 'mmdet.MobileNetV2'},
        {'type': 'mmdet.PyramidVisionTransformerV2', 'embed_dims': 16},
        {'type': 'mmdet.RegNet', 'arch': 'regnetx_400mf'},
    ],
    ids=['resnet', 'swin', 'mobilenetv2', 'pvtv2', 'regnet'],
)
def test_plain_backbones_call_no_operator(cfg):
    compat.ensure_mmcv_ops()
    import mmdet.models  # noqa: F401
    import torch
    from mmdet.registry import MODELS

    backbone = MODELS.build(cfg)
    backbone.eval()  # returns None for some
    with torch.no_grad():
        features = backbone(torch.zeros(1, 3, 64, 64))
    assert features[-1].shape[-2:] == (2, 2)


def test_real_operators_are_left_alone(monkeypatch):
    monkeypatch.setattr(compat, 'has_mmcv_ops', lambda: True)
    monkeypatch.delitem(sys.modules, 'mmcv.ops', raising=False)
    compat.ensure_mmcv_ops()
    assert 'mmcv._ext' not in sys.modules
    assert 'mmcv.ops' not in sys.modules


def test_python_looks_for_no_special_attribute_in_the_stand_in():
    stand_in = compat._MissingOps('mmcv._ext')
    assert not hasattr(stand_in, '__path__')
    with pytest.raises(RuntimeError, match='roi_align_forward'):
        stand_in.roi_align_forward(1, k=2)
