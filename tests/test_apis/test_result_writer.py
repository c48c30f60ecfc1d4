import json

import cv2
import numpy as np
import pytest
import torch

from mmxpl.apis.result_writer import ResultWriter, without_map
from mmxpl.utils import DataError

RESULT = dict(sample_id='a b', bboxes=[[0, 0, 1, 1]], map=np.zeros((2, 2)))


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
