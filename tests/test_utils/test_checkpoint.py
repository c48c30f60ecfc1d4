import os
import pickle
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.runner import CheckpointLoader
from mmengine.runner import checkpoint as mmengine_checkpoint

from mmxpl.datasets.dataset_wrappers import config_leaves
from mmxpl.models.pretrained import without_init_cfg
from mmxpl.registry import register_all_modules
from mmxpl.utils import DataError
from mmxpl.utils.checkpoint import (
    embedded_config,
    load_weights_only,
    read_checkpoint,
    read_meta,
    refuse_unregistered,
)


class Payload:
    """Leaves a trace if it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), 'w'))


@pytest.fixture
def loader(monkeypatch):
    """Restores what load_weights_only changes in this process."""
    monkeypatch.setattr(
        mmengine_checkpoint,
        'get_torch_safe_globals',
        getattr(mmengine_checkpoint, 'get_torch_safe_globals', None),
        raising=False,
    )
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    monkeypatch.delenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', raising=False)
    # set and deleted, so that it is deleted again at the end
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '0')
    monkeypatch.delenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD')
    return CheckpointLoader


def test_what_a_runner_saves_is_read(tmp_path):
    hub = MessageHub.get_instance('test_checkpoint')
    for value in (1.5, 2.5):
        hub.update_scalar('train/loss', value)
    hub.update_info('epoch', 3)
    path = tmp_path / 'epoch_1.pth'
    torch.save(
        {
            'state_dict': torch.nn.Linear(2, 2).state_dict(),
            'message_hub': hub.state_dict(),
            'meta': {'epoch': 1, 'seed': None},
        },
        path,
    )
    checkpoint = read_checkpoint(str(path), 'cpu')
    history = checkpoint['message_hub']['log_scalars']['train/loss']
    assert history.mean() == 2.0
    assert checkpoint['meta'] == {'epoch': 1, 'seed': None}


def test_a_folder_is_no_checkpoint(tmp_path):
    with pytest.raises(DataError, match='is a folder: name a file in it'):
        read_checkpoint(tmp_path)
    with pytest.raises(DataError, match='does not exist'):
        read_checkpoint(tmp_path / 'none.pth')


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    path, trace = tmp_path / 'evil.pth', tmp_path / 'trace'
    torch.save({'state_dict': {}, 'meta': Payload(trace)}, path)
    with pytest.raises(DataError) as caught:
        read_checkpoint(str(path))
    assert not trace.exists()
    message = str(caught.value)
    assert str(path) in message
    assert "'io.open'" in message or "'_io.open'" in message
    assert 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1' in message


def text(value):
    """Opcode of a string."""
    value = value.encode()
    return b'X' + len(value).to_bytes(4, 'little') + value


def write_hostile_history(path, trace):
    """Writes a log history that makes ``eval`` its ``__setstate__``.

    Only with globals that MMEngine needs for its histories: their class and
    ``getattr``, which leads to the module it stands in.
    """
    attribute = b'cbuiltins\ngetattr\n'
    module = attribute + attribute + text('__self__') + b'\x86R'
    evaluate = attribute + module + text('eval') + b'\x86R'
    program = (
        b'\x80\x02}' + text('meta') + b'cmmengine.logging.history_buffer\n'
        b'HistoryBuffer\n)\x81}' + text('__setstate__') + evaluate + b'sb'
        b'' + text(f"open({str(trace)!r}, 'w')") + b'bs.'
    )
    torch.save({'a': 1}, path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, 'w') as archive:
        for name, content in parts.items():
            archive.writestr(name, program if name.endswith('/data.pkl') else content)


@pytest.mark.parametrize('load', ['local', 'meta', 'other'])
def test_a_history_may_not_bring_code(tmp_path, loader, load):
    path, trace = tmp_path / 'evil.pth', tmp_path / 'trace'
    write_hostile_history(path, trace)
    load_weights_only()
    read = {
        'local': read_checkpoint,
        'meta': read_meta,
        'other': getattr(mmengine_checkpoint, '_safe_torch_load', read_checkpoint),
    }[load]
    with pytest.raises((DataError, KeyError, pickle.UnpicklingError)):
        read(str(path))
    assert not trace.exists()


def test_a_flipped_bit_is_found(tmp_path):
    path = tmp_path / 'epoch_1.pth'
    torch.save({'state_dict': {'w': torch.zeros(1000)}}, path)
    content = bytearray(path.read_bytes())
    content[content.index(bytes(2000)) + 999] ^= 1
    path.write_bytes(content)
    # PyTorch itself reads a wrong weight
    assert torch.load(path)['state_dict']['w'].any()
    with pytest.raises(DataError, match=r"epoch_1\.pth' is damaged.*data/0"):
        read_checkpoint(str(path))


def test_no_flipped_bit_gets_through(tmp_path):
    """A bit here and there: what is read is what was saved, or it is refused."""
    path = tmp_path / 'epoch_1.pth'
    saved = {'meta': {'epoch': 1, 'iter': 5}, 'optimizer': {}, 'w': torch.arange(9.0)}
    torch.save(saved, path)
    whole = path.read_bytes()
    refused = 0
    for place in range(0, len(whole), 7):
        content = bytearray(whole)
        content[place] ^= 1 << place % 8
        path.write_bytes(content)
        try:
            assert read_meta(path) == (saved['meta'], True)
            read = read_checkpoint(str(path))
            assert read.pop('w').tolist() == list(range(9))
            assert read == {k: saved[k] for k in ('meta', 'optimizer')}
        except DataError:
            refused += 1
    assert refused > 20


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    path = tmp_path / 'epoch_1.pth'
    nan = torch.tensor([1.0, float('nan')])
    saved = dict(state_dict={'w': torch.ones(2)}, optimizer={'state': {0: {'m': nan}}})
    torch.save(saved, path)
    with pytest.raises(DataError, match=r'1 tensors, such as optimizer\.state\.0\.m'):
        read_checkpoint(str(path))
    torch.save({'w': nan}, path)
    with pytest.raises(DataError, match='such as w'):
        read_checkpoint(str(path))
    logs, bank = {'loss': nan}, {'labels': nan.half()}
    torch.save(dict(state_dict={}, message_hub=logs, pseudo_label_bank=bank), path)
    read_checkpoint(str(path))  # a log may say so, a bank names the clips


def test_progress_is_read_without_the_weights(tmp_path):
    path = tmp_path / 'epoch_1.pth'
    meta = {'epoch': 1, 'iter': 5}
    torch.save({'state_dict': {}, 'optimizer': {}, 'meta': meta}, path)
    assert read_meta(path) == (meta, True)
    torch.save({'state_dict': {}, 'meta': meta}, path)
    assert read_meta(path) == (meta, False)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DataError, match='epoch_1.pth'):
        read_meta(path)


def damaged_files(folder):
    whole = folder / 'whole.pth'
    torch.save({'state_dict': {'w': torch.zeros(1000)}}, whole)
    cut = folder / 'cut.pth'
    cut.write_bytes(whole.read_bytes()[:2000])
    empty = folder / 'empty.pth'
    empty.touch()
    text = folder / 'text.pth'
    text.write_text('<html>not found</html>')
    plain = folder / 'plain.pth'
    plain.write_bytes(pickle.dumps([1, 2], protocol=2))
    tensor = folder / 'tensor.pth'
    torch.save(torch.zeros(2), tensor)
    return [folder / 'none.pth', cut, empty, text, plain, tensor]


@pytest.mark.parametrize('index', range(6))
def test_damaged_files_are_named(tmp_path, index):
    path = damaged_files(tmp_path)[index]
    with pytest.raises(DataError) as caught:
        read_checkpoint(str(path))
    assert str(path) in str(caught.value)
    assert '\n' not in str(caught.value)


def test_every_load_of_the_process_becomes_safe(tmp_path, loader):
    path, trace = tmp_path / 'evil.pth', tmp_path / 'trace'
    torch.save({'state_dict': {}, 'meta': Payload(trace)}, path)
    load_weights_only()
    with pytest.raises(DataError):
        loader.load_checkpoint(str(path))
    # sources other than local files end in torch.load with its argument unset or off
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=False)
    assert not trace.exists()


def test_other_sources_keep_their_loader(loader):
    before = loader._get_checkpoint_loader('torchvision://resnet18')
    load_weights_only()
    assert loader._get_checkpoint_loader('torchvision://resnet18') is before


def test_opting_out_is_obeyed(tmp_path, loader, monkeypatch):
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    load_weights_only()
    assert 'TORCH_FORCE_WEIGHTS_ONLY_LOAD' not in os.environ
    path, trace = tmp_path / 'trusted.pth', tmp_path / 'trace'
    torch.save({'state_dict': {}, 'meta': Payload(trace)}, path)
    torch.load(path)['meta'].close()
    assert trace.exists()


def test_threads_read_at_the_same_time(tmp_path):
    path = tmp_path / 'log.pth'
    torch.save(dict(message_hub=HistoryBuffer([1.0], [1.0])), path)
    with ThreadPoolExecutor(4) as pool:
        for state in pool.map(read_checkpoint, [path] * 40):
            assert isinstance(state['message_hub'], HistoryBuffer)


CONFIGS = Path(__file__).parents[2] / 'configs'


def of(text):
    return embedded_config(dict(meta=dict(cfg=text)), 'x.pth')


@pytest.mark.parametrize(
    'path', sorted(CONFIGS.glob('xpl/*.py')), ids=lambda path: path.stem
)
def test_every_config_comes_back(path):
    register_all_modules(init_default_scope=False)
    # as runs write it: without yapf
    text = Config(Config.fromfile(path)._cfg_dict, format_python_code=False).pretty_text
    found = of(text)
    assert found.to_dict() == Config.fromstring(text, '.py').to_dict()
    model = without_init_cfg(found.model)  # as it is built for inference
    pipelines = [leaf['pipeline'] for leaf in config_leaves(found.test_dataloader)]
    assert pipelines
    refuse_unregistered([model, *pipelines], 'x.pth')


def test_plain_values():
    cfg = of("a = dict(x=[1, -2.5, (None, True)], y={'k-1': dict(z='s')})\nb = 1e-3\n")
    assert cfg.to_dict() == dict(
        a=dict(x=[1, -2.5, (None, True)], y={'k-1': dict(z='s')}), b=1e-3
    )


@pytest.mark.parametrize(
    'text',
    [
        "import os\nos.system('true')",
        "a = __import__('os').system('true')",
        'a = dict(**b)',
        'a = {**b}',
        "a = dict([('x', 1)])",
        'a = [x for x in y]',
        "a = eval('1')",
        'a = b = 1',
        'a, b = 1, 2',
        'a.b = 1',
        "a = f'{b}'",
        'def f(): pass',
        'a = (',
        '\0',
        'a = ' + '[' * 5000 + ']' * 5000,
    ],
)
def test_code_is_refused_and_not_run(text):
    with pytest.raises(DataError, match=r"'x\.pth' is more than plain values"):
        of(text)


@pytest.mark.parametrize('state', [{}, dict(meta=None), dict(meta=dict(cfg=3))])
def test_no_config(state):
    with pytest.raises(DataError, match='holds no config'):
        embedded_config(state, 'x.pth')


@pytest.mark.parametrize(
    'cfg',
    [
        dict(type='os.system', command='true'),
        dict(type='XPL', localizers=dict(a=dict(type='subprocess.run'))),
        [dict(type='PackAVInputs'), dict(type='mmengine.load', file='x.pkl')],
        dict(type='builtins.exec'),
        dict(type='this'),
        dict(type=['XPL']),
        dict(type='XPL', _scope_='os'),
        dict(type='mmxpl.utils.cli.load_config'),
    ],
)
def test_types_that_are_not_registered(cfg):
    register_all_modules(init_default_scope=False)
    with pytest.raises(DataError, match='no registered model or transform'):
        refuse_unregistered(cfg, 'x.pth')
