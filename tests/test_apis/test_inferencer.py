import itertools
import json

import cv2
import numpy as np
import pytest
import soundfile
import torch

from mmxpl.apis import XPLInferencer
from mmxpl.datasets import av_collate
from mmxpl.registry import DATASETS
from mmxpl.utils import DataError

IDS = [f'clip-{n:02d}' for n in range(12)]


@pytest.fixture
def pair(tiny_world):
    return lambda i: (
        str(tiny_world / f'frames/{i}.jpg'),
        str(tiny_world / f'audio/{i}.wav'),
    )


def maps(samples):
    return torch.stack([s.pred_map.ens for s in samples])


def test_a_pair_is_predicted_as_in_a_test(inferencer, tiny_cfg, pair):
    dataset = DATASETS.build(tiny_cfg.test_dataloader.dataset)
    batch = av_collate([dataset[0], dataset[1]])
    with torch.no_grad():
        tested = inferencer.model.test_step(batch)
    found = list(
        inferencer.stream(
            [pair(s.sample_id) for s in tested], batch_size=2, return_datasamples=True
        )
    )
    assert torch.equal(maps(found), maps(tested))
    assert [s.sample_id for s in found] == dataset.sample_ids
    assert maps(found).std() > 0


def test_arrays_are_predicted_as_their_files(inferencer, pair):
    img, audio = pair(IDS[0])
    wave, rate = soundfile.read(audio, dtype='float32')
    integers, _ = soundfile.read(audio, dtype='int16')
    frame = cv2.imread(img)
    forms = [(img, audio), (frame, (wave, rate)), dict(img=frame, audio=audio)]
    forms += [(frame, (integers, rate)), (frame, (np.stack([wave, wave], 1), rate))]
    found = maps(inferencer.stream(forms, return_datasamples=True))
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=0, atol=1e-6)


def test_a_batch_gives_what_single_pairs_give(inferencer, pair):
    pairs = [pair(i) for i in IDS[:5]]
    single = maps(inferencer.stream(pairs, return_datasamples=True))
    batched = maps(inferencer.stream(pairs, batch_size=3, return_datasamples=True))
    torch.testing.assert_close(single, batched, rtol=0, atol=1e-5)


def test_the_dict_says_what_the_map_says(inferencer, pair):
    found = inferencer(pair(IDS[1]), localizer='a', threshold=0.5)
    assert found['visualization'] == []
    (result,) = found['predictions']
    assert result['sample_id'] == IDS[1]
    assert result['time'] is None
    assert result['map'].shape == (48, 64)
    assert 0 <= result['map'].min() < result['map'].max() <= 1
    (sample,) = inferencer(pair(IDS[1]), return_datasamples=True)['predictions']
    corners = sample.pred_map.a[0][[0, 0, -1, -1], [0, -1, 0, -1]].numpy()
    np.testing.assert_allclose(
        result['map'][[0, 0, -1, -1], [0, -1, 0, -1]], corners, atol=1e-6
    )
    covered = np.zeros((48, 64), bool)
    for x1, y1, x2, y2 in result['bboxes_pixels']:
        covered[y1:y2, x1:x2] = True
    assert covered[result['map'] >= 0.5].all()


def test_localizers_differ_and_the_ensemble_is_their_mean(inferencer, pair):
    a, b, ens = (
        inferencer(pair(IDS[2]), localizer=name)['predictions'][0]['map']
        for name in ('a', 'b', 'ens')
    )
    np.testing.assert_allclose(ens, (a + b) / 2, atol=1e-6)
    assert not np.allclose(a, b, atol=1e-3)
    with pytest.raises(DataError, match=r"localizer.*'a', 'b', 'ens'.*'c'"):
        inferencer(pair(IDS[2]), localizer='c')


def test_a_config_file_gives_what_the_checkpoint_s_own_gives(
    tiny_cfg, tiny_checkpoint, inferencer, pair, tmp_path
):
    path = tmp_path / 'tiny.py'
    tiny_cfg.dump(path)
    other = XPLInferencer(path, tiny_checkpoint, 'cpu', show_progress=False)
    found = [
        maps(i.stream(pair(IDS[3]), return_datasamples=True))
        for i in (other, inferencer)
    ]
    assert torch.equal(*found)


def test_a_folder_of_pairs(inferencer, spoilable_world, logged):
    (spoilable_world / f'audio/{IDS[4]}.wav').unlink()
    found = inferencer(spoilable_world, batch_size=4)['predictions']
    assert [p['sample_id'] for p in found] == IDS[:4] + IDS[5:]
    assert '1 clips lack frame or sound' in logged()
    assert IDS[4] in logged()


def test_a_folder_of_pairs_goes_on_without_a_damaged_one(
    inferencer, spoilable_world, tmp_path
):
    (spoilable_world / f'audio/{IDS[4]}.wav').write_bytes(b'RIFF no sound')
    found = inferencer(spoilable_world, batch_size=4)['predictions']
    assert [p['sample_id'] for p in found] == IDS[:4] + IDS[5:]
    (reason,) = inferencer.failed
    assert f'{IDS[4]}.wav' in reason
    pair = [
        spoilable_world / 'frames/clip-04.jpg',
        spoilable_world / 'audio/clip-04.wav',
    ]
    with pytest.raises(DataError, match=f'{IDS[4]}.wav'):
        inferencer(tuple(pair))


def test_results_are_written_once(inferencer, pair, tmp_path):
    inferencer(pair(IDS[0]), out_dir=tmp_path, threshold=0.4)
    picture = cv2.imread(str(tmp_path / f'vis/{IDS[0]}.png'))
    assert picture.shape == (48, 64, 3)
    written = json.loads((tmp_path / f'preds/{IDS[0]}.json').read_text())
    again = inferencer(pair(IDS[0]), threshold=0.4)['predictions'][0]
    assert written == {k: v for k, v in again.items() if k != 'map'}
    (sample,) = inferencer(pair(IDS[0]), return_datasamples=True)['predictions']
    stored = np.load(tmp_path / f'maps/{IDS[0]}.npy')
    np.testing.assert_array_equal(stored, sample.pred_map.ens[0].numpy())
    with pytest.raises(DataError, match='exists already and is not overwritten'):
        inferencer(pair(IDS[0]), out_dir=tmp_path)


def test_inputs_are_read_as_results_are_asked_for(inferencer, pair):
    read = []

    def endless():
        for n in itertools.count():
            read.append(n)
            yield pair(IDS[n % 12])

    stream = inferencer.stream(endless(), batch_size=3)
    assert read == []
    for _ in range(4):
        next(stream)
    assert len(read) == 6


@pytest.mark.parametrize(
    ('inputs', 'message'),
    [
        ('no_such.mp4', 'no_such.mp4: does not exist'),
        (7, 'a int is no pair'),
        (np.zeros((4, 4, 3), np.uint8), 'ndarray is no pair'),
        (('a', 'b', 'c'), 'a tuple of 3'),
        (dict(img='a.jpg'), r"no \['audio'\]"),
        ((np.zeros((4, 4, 3)), 'a.wav'), "'a': an image must be .* got float64"),
        ((np.zeros((4, 4), np.uint8), 'a.wav'), r'must be \(H, W, 3\)'),
        (('a.jpg', np.zeros(9)), 'or a pair'),
        (('a.jpg', (np.zeros(9), 0)), 'a rate of 0 Hz'),
        (('a.jpg', (np.zeros((2, 900)), 8000)), 'transpose'),
        (('a.jpg', (np.full(9, np.nan), 8000)), 'not finite'),
        (('a.jpg', (np.zeros(9, np.uint8), 8000)), 'unsigned'),
        (('a.jpg', ([[0.0], [0.0, 1.0]], 8000)), "'a': samples .* are no array"),
        (('a.jpg', (np.zeros(0), 8000)), 'must be numbers'),
        (('a.jpg', 'a.wav'), 'a.jpg: the frame cannot be read'),
    ],
)
def test_bad_inputs_are_named(inferencer, inputs, message):
    with pytest.raises(DataError, match=message):
        inferencer(inputs)


def test_an_image_alone_is_no_input(inferencer, pair):
    with pytest.raises(DataError, match='an image needs its sound'):
        inferencer(pair(IDS[0])[0])


def test_an_empty_folder(inferencer, tmp_path):
    with pytest.raises(DataError, match='neither videos'):
        inferencer(tmp_path)


def test_a_map_that_is_no_number_is_refused(inferencer, pair):
    calibration = inferencer.model.localizers['a'].calibration
    before = calibration.data.clone()
    calibration.data.fill_(float('nan'))
    try:
        with pytest.raises(DataError, match="'clip-00': the predicted map is NaN"):
            inferencer(pair('clip-00'))
    finally:
        calibration.data.copy_(before)


@pytest.mark.parametrize(
    'argument', [dict(batch_size='2'), dict(batch_size=0), dict(every='1')]
)
def test_arguments_of_another_kind_are_named(inferencer, pair, argument):
    with pytest.raises(DataError, match=f'^{next(iter(argument))}: must be'):
        inferencer(pair(IDS[0]), **argument)


@pytest.mark.parametrize('device', ['cuda:77', 'gpu', 'cpu:x'])
def test_a_device_that_is_not_there_is_named(tiny_checkpoint, device):
    with pytest.raises(DataError, match=f"^device '{device}' cannot be used .*'cpu'"):
        XPLInferencer(weights=tiny_checkpoint, device=device)


def test_weights_must_be_given_and_fit(tiny_cfg, tiny_checkpoint, tmp_path):
    with pytest.raises(DataError, match='weights: no checkpoint.*weights='):
        XPLInferencer('pub.pth')
    with pytest.raises(DataError, match="config 'none.py' does not exist"):
        XPLInferencer('none.py', tiny_checkpoint)
    model = dict(tiny_cfg.model, localizers=dict(a=tiny_cfg.model.localizers.a))
    with pytest.raises(DataError, match=r'another model .*: \d+ unexpected \('):
        XPLInferencer(dict(tiny_cfg, model=model), tiny_checkpoint)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_a_gpu_gives_what_the_cpu_gives(inferencer, tiny_checkpoint, pair):
    other = XPLInferencer(weights=tiny_checkpoint, device='cuda', show_progress=False)
    found = [
        maps(i.stream([pair(IDS[0]), pair(IDS[1])], 2, return_datasamples=True))
        for i in (other, inferencer)
    ]
    torch.testing.assert_close(*found, rtol=0, atol=1e-2)
