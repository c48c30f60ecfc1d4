import hashlib
import importlib.util
from pathlib import Path

import pytest
import torch

from mmxpl.apis import XPLInferencer
from mmxpl.utils.checkpoint import read_checkpoint

PATH = Path(__file__).parents[2] / 'tools/model_converters/publish_model.py'


@pytest.fixture(scope='module')
def publish():
    spec = importlib.util.spec_from_file_location('publish_model', PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def test_weights_and_config_alone_are_kept(
    publish, tiny_checkpoint, tiny_world, tmp_path, capsys
):
    publish([str(tiny_checkpoint), str(tmp_path / 'xpl.pth')])
    (path,) = tmp_path.iterdir()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.name == f'xpl-{digest[:8]}.pth'
    before = read_checkpoint(str(tiny_checkpoint))
    after = read_checkpoint(str(path))
    assert set(after) == {'meta', 'state_dict'}
    assert set(after['meta']) == {'cfg', 'epoch'}
    assert after['state_dict'].keys() == before['state_dict'].keys()
    for key, value in after['state_dict'].items():
        assert torch.equal(value, before['state_dict'][key])
    said = capsys.readouterr().out
    assert 'left out: message_hub, optimizer' in said
    assert str(tiny_world) in said  # its config names this folder
    pair = (
        str(tiny_world / 'frames/clip-00.jpg'),
        str(tiny_world / 'audio/clip-00.wav'),
    )
    maps = [
        XPLInferencer(weights=weights, device='cpu', show_progress=False)(
            pair, return_datasamples=True
        )['predictions'][0].pred_map.ens
        for weights in (tiny_checkpoint, path)
    ]
    assert torch.equal(*maps)


def test_the_same_is_not_written_twice(publish, tiny_checkpoint, tmp_path, capsys):
    arguments = [str(tiny_checkpoint), str(tmp_path / 'xpl.pth')]
    publish(arguments)
    (path,) = tmp_path.iterdir()
    before = path.stat().st_mtime_ns
    with pytest.raises(SystemExit) as stop:
        publish(arguments)
    assert stop.value.code == 2
    assert 'exists already' in capsys.readouterr().err
    assert path.stat().st_mtime_ns == before


def test_a_file_without_weights(publish, tmp_path, capsys):
    torch.save(dict(meta={}), tmp_path / 'a.pth')
    with pytest.raises(SystemExit):
        publish([str(tmp_path / 'a.pth'), str(tmp_path / 'b.pth')])
    assert 'has no state_dict' in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ['a.pth']
