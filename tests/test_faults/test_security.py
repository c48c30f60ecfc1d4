"""Nothing that is read from outside may run."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(
    path for folder in ('mmxpl', 'tools') for path in (ROOT / folder).rglob('*.py')
)
FORBIDDEN = {
    'eval',
    'exec',
    'compile',
    '__import__',
    'os.system',
    'os.popen',
    'pickle.load',
    'pickle.loads',
    'marshal.loads',
    'yaml.load',
    'yaml.unsafe_load',
    'subprocess.getoutput',
}
# keyword arguments that a call must or must not have, with their values
DEMANDED = {'torch.load': ('weights_only', True)}
REFUSED = (('shell', True), ('allow_pickle', True))


def breaches(source):
    """Names the calls of a module that may run what they are given."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        given = {k.arg: getattr(k.value, 'value', None) for k in node.keywords}
        demanded = DEMANDED.get(name)
        if (
            name in FORBIDDEN
            or (demanded and given.get(demanded[0]) is not demanded[1])
            or any(given.get(key) is value for key, value in REFUSED)
        ):
            yield f'{node.lineno}: {ast.unparse(node)}'


@pytest.mark.parametrize(
    'source',
    [
        'eval(text)',
        'os.system(text)',
        'torch.load(path)',
        'torch.load(path, weights_only=False)',
        'torch.load(path, weights_only=flag)',
        'subprocess.run(text, shell=True)',
        'np.load(path, allow_pickle=True)',
    ],
)
def test_a_breach_is_seen(source):
    assert list(breaches(source))


def test_the_package_has_none():
    found = {
        str(path.relative_to(ROOT)): list(breaches(path.read_text(encoding='utf-8')))
        for path in FILES
    }
    assert len(found) > 100
    assert {path: calls for path, calls in found.items() if calls} == {}


@pytest.mark.slow
def test_a_checkpoint_with_code_is_refused(train, tmp_path, fault):
    import torch

    fault('checkpoint with code, in itself')
    path, trace = tmp_path / 'epoch_1.pth', tmp_path / 'trace'
    torch.save(dict(state_dict={}, meta=Code(str(trace))), path)
    message = train(tmp_path / 'work', resume=str(path)).message
    assert not trace.exists()
    assert str(path) in message
    assert 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1' in message


@pytest.mark.slow
def test_a_config_in_a_checkpoint_is_not_run(train, whole_run, tmp_path, fault):
    import torch

    fault('checkpoint with code, in its config')
    trace, path = tmp_path / 'trace', tmp_path / 'evil.pth'
    checkpoint = torch.load(whole_run()[1] / 'epoch_2.pth', weights_only=False)
    checkpoint['meta']['config'] = f"open({str(trace)!r}, 'w')"
    torch.save(checkpoint, path)
    resumed = train(tmp_path / 'work', resume=path)
    assert resumed.code == 0, resumed.text
    assert 'contains a config, which is not read' in resumed.text
    assert not trace.exists()


class Code:
    """Leaves a trace if it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, 'w'))
