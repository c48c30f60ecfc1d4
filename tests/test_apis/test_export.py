import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile
import torch

from mmxpl.apis import load_learner
from mmxpl.apis.export import ExportableLocalizer, example_inputs, export_localizer
from mmxpl.registry import MODELS
from mmxpl.testing import tiny_model_cfg
from mmxpl.utils import DataError

DEPLOY = Path(__file__).parents[2] / 'docs/deploy.md'


@pytest.fixture(scope='module')
def loaded(tiny_checkpoint):
    return load_learner(tiny_checkpoint, device='cpu')


@pytest.fixture(scope='module')
def onnx_file(loaded, tmp_path_factory):
    """Localizer a with its spectrogram."""
    pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')
    pytest.importorskip('onnxscript', reason='onnxscript is not installed')
    path = tmp_path_factory.mktemp('onnx') / 'xpl_a.onnx'
    assert export_localizer(*loaded, 'a', path, with_spectrogram=True) < 1e-4
    return path


def test_the_wrapper_is_the_learner_s_own_prediction(loaded, inferencer, tiny_world):
    pair = [str(tiny_world / f'{k}/clip-02.{s}') for k, s in (('frames', 'jpg'),)]
    pair += [str(tiny_world / 'audio/clip-02.wav')]
    ((_, batch),) = inferencer.preprocess([tuple(pair)])
    (sample,) = inferencer(tuple(pair), return_datasamples=True)['predictions']
    for name in ('a', 'b'):
        model = ExportableLocalizer(loaded[0], name, with_spectrogram=True)
        with torch.no_grad():
            prob = model(batch['inputs']['img'], batch['inputs']['audio'])
        torch.testing.assert_close(prob, sample.pred_map.get(name))


@pytest.mark.slow
@pytest.mark.parametrize('with_spectrogram', [False, True])
def test_torch_export(loaded, tmp_path, with_spectrogram):
    path = tmp_path / 'b.pt2'
    assert export_localizer(*loaded, 'b', path, with_spectrogram) < 1e-5
    program = torch.export.load(str(path)).module()
    model = ExportableLocalizer(loaded[0], 'b', with_spectrogram).eval()
    images, sounds = example_inputs(loaded[1], 5)
    if not with_spectrogram:
        sounds = model.front_end(sounds)
    torch.testing.assert_close(program(images, sounds), model(images, sounds))


@pytest.fixture
def hearing(loaded):
    """A learner whose localizer b has an encoder with its own front end."""
    model = tiny_model_cfg()
    for key in ('audio_input', 'audio_encoder'):
        del model['localizers']['b'][key]
    model['localizers']['b']['audio_encoder'] = dict(type='YAMNet')
    return MODELS.build(model).eval(), loaded[1]


def test_an_encoder_that_reads_the_waveform(hearing):
    learner, cfg = hearing
    model = ExportableLocalizer(learner, 'b', with_spectrogram=True)
    images, sounds = example_inputs(cfg, 2)
    assert model.sound_name == 'waveform'
    inputs = dict(img=images, audio=sounds)
    with torch.no_grad():
        expected = learner(**learner.data_preprocessor(dict(inputs=inputs)))
        torch.testing.assert_close(model(images, sounds), expected['b'])
    with pytest.raises(DataError, match="'b': its YAMNet .*--with-spectrogram"):
        ExportableLocalizer(learner, 'b')


@pytest.mark.slow
def test_torch_export_of_an_encoder_that_reads_the_waveform(hearing, tmp_path):
    assert export_localizer(*hearing, 'b', tmp_path / 'b.pt2', True) < 1e-5


@pytest.mark.slow
def test_onnx_names_and_sizes(onnx_file):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(onnx_file))
    inputs = {i.name: (i.type, i.shape) for i in session.get_inputs()}
    assert inputs == {
        'image': ('tensor(uint8)', ['batch', 3, 48, 48]),
        'waveform': ('tensor(float)', ['batch', 4000]),
    }
    assert [o.name for o in session.get_outputs()] == ['map']
    about = json.loads(session.get_modelmeta().custom_metadata_map['mmxpl'])
    assert '8000 Hz' in about['sound']


@pytest.mark.slow
def test_the_example_of_the_docs_runs(
    onnx_file, inferencer, tiny_world, tmp_path, monkeypatch
):
    code = re.search(r'```python\n(.*?)```', DEPLOY.read_text(), re.DOTALL).group(1)
    assert len(code.splitlines()) <= 15
    assert 'mmxpl' not in code
    assert 'torch' not in code
    monkeypatch.chdir(tmp_path)
    Path('xpl_a.onnx').symlink_to(onnx_file)
    cv2.imwrite('clip.jpg', cv2.imread(str(tiny_world / 'frames/clip-05.jpg')))
    wave, rate = soundfile.read(tiny_world / 'audio/clip-05.wav')
    soundfile.write('clip.wav', wave, rate, subtype='PCM_16')
    scope: dict = {}
    exec(compile(code, str(DEPLOY), 'exec'), scope)
    (result,) = inferencer(('clip.jpg', 'clip.wav'), localizer='a')['predictions']
    assert scope['full'].shape == result['map'].shape
    assert isinstance(scope['full'], np.ndarray)
    # OpenCV's remap places points to a 32nd of a cell
    np.testing.assert_allclose(scope['full'], result['map'], atol=0.012)


def test_a_graph_that_differs_is_not_kept(loaded, tmp_path, monkeypatch):
    def wrong(model, example, path, about):
        path.write_bytes(b'graph')
        return lambda *batch: model(*batch) + 0.01

    monkeypatch.setattr('mmxpl.apis.export._write_torch', wrong)
    path = tmp_path / 'a.pt2'
    with pytest.raises(DataError, match=r'differs from PyTorch by 1\.0e-02'):
        export_localizer(*loaded, 'a', path)
    assert export_localizer(*loaded, 'a', path, tolerance=0.1) > 0.009
    with pytest.raises(DataError, match='exists already'):
        export_localizer(*loaded, 'a', path, tolerance=0.1)
    monkeypatch.setattr(
        'mmxpl.apis.export._write_torch',
        lambda model, *_: lambda *batch: model(*batch) * float('nan'),
    )
    with pytest.raises(DataError, match='differs from PyTorch by inf'):
        export_localizer(*loaded, 'a', tmp_path / 'b.pt2')
    assert [p.name for p in tmp_path.iterdir()] == ['a.pt2']


def test_bad_arguments(loaded, tmp_path):
    with pytest.raises(DataError, match=r"must be one of \['a', 'b'\], got 'ens'"):
        export_localizer(*loaded, 'ens', tmp_path / 'a.onnx')
    with pytest.raises(DataError, match='must end in .onnx'):
        export_localizer(*loaded, 'a', tmp_path / 'a.pth')


def test_all_kinds_of_sound_are_compared(loaded):
    _, sounds = example_inputs(loaded[1], 6)
    assert (sounds[2] == 0).all()
    assert (sounds[5] == 0).all()
    assert sounds.abs().amax(1).gt(0).sum() == 4
    assert sounds.abs().max() <= 1
