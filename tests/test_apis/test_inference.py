import json

import cv2
import numpy as np
import pytest
import torch

from mmxpl.apis.inference import ResultWriter, describe_map, without_map
from mmxpl.utils import DataError

RESULT = dict(sample_id='a b', bboxes=[[0, 0, 1, 1]], map=np.zeros((2, 2)))


def test_boxes_in_both_units():
    prob = torch.zeros(1, 40, 60)
    prob[0, 10:20, 30:45] = 0.9
    prob[0, 30:, :6] = 0.6
    found = describe_map(prob, (40, 60))
    assert found['bboxes_pixels'] == [[30, 10, 45, 20], [0, 30, 6, 40]]
    assert found['scores'] == pytest.approx([0.9, 0.6])
    np.testing.assert_allclose(
        found['bboxes'], [[0.5, 0.25, 0.75, 0.5], [0, 0.75, 0.1, 1]], atol=1e-6
    )
    assert describe_map(prob, (40, 60), 0.7)['bboxes_pixels'] == [[30, 10, 45, 20]]
    assert describe_map(prob, (40, 60), 0.95)['bboxes'] == []


def test_confidence_is_the_mean_of_the_highest_quarter():
    prob = torch.zeros(1, 224, 224)
    prob[0, :56] = 0.8  # a quarter
    assert describe_map(prob, (30, 30))['confidence'] == pytest.approx(0.8)
    prob[0, 28:56] = 0.2
    assert describe_map(prob, (30, 30))['confidence'] == pytest.approx(0.5)


@pytest.mark.parametrize('threshold', [-0.1, 1.1, float('nan'), '0.5'])
def test_a_threshold_is_a_probability(threshold):
    with pytest.raises(DataError, match='threshold'):
        describe_map(torch.zeros(1, 4, 4), (8, 8), threshold)


def test_what_is_written(tmp_path):
    writer = ResultWriter(str(tmp_path))
    prob = torch.rand(1, 3, 4).bfloat16()
    writer.prediction(RESULT, prob)
    picture = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3)
    writer.picture('a b', picture)
    (path,) = (tmp_path / 'preds').iterdir()
    assert json.loads(path.read_text()) == without_map(RESULT)
    assert 'map' not in without_map(RESULT)
    (path,) = (tmp_path / 'maps').iterdir()
    assert np.array_equal(np.load(path), prob[0].float().numpy())
    (path,) = (tmp_path / 'vis').iterdir()
    assert np.array_equal(cv2.imread(str(path))[..., ::-1], picture)


def test_nothing_leaves_the_folder_or_is_overwritten(tmp_path):
    writer = ResultWriter(str(tmp_path / 'out'))
    result = dict(RESULT, sample_id='../../escape')
    writer.prediction(result, torch.zeros(1, 2, 2))
    assert [p.name for p in tmp_path.iterdir()] == ['out']
    before = {p: p.read_bytes() for p in tmp_path.rglob('*') if p.is_file()}
    with pytest.raises(DataError, match='exists already'):
        writer.prediction(result, torch.ones(1, 2, 2))
    assert before == {p: p.read_bytes() for p in tmp_path.rglob('*') if p.is_file()}
