import cv2
import numpy as np
import pytest

from mmxpl.structures import AVDataSample
from mmxpl.utils import DataError
from mmxpl.visualization import load_frame, write_picture


def make_sample(path, img_shape):
    return AVDataSample(metainfo={'img_path': str(path), 'img_shape': img_shape})


def test_written_picture_is_the_same_when_read(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (12, 17, 3), np.uint8)
    path = tmp_path / 'new' / 'folder' / 'bïld.png'
    write_picture(picture, path)
    bgr = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    assert (bgr[..., ::-1] == picture).all()


def test_frame_has_the_shape_the_model_saw_in_the_order_rgb(tmp_path):
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, :32, 0] = 250  # left half red
    picture[:, 32:, 2] = 200  # right half blue
    write_picture(picture, tmp_path / 'frame.png')
    frame = load_frame(make_sample(tmp_path / 'frame.png', (32, 32)))
    assert frame.shape == (224, 224, 3)
    assert (frame[:, :100] == (250, 0, 0)).all()
    assert (frame[:, 124:] == (0, 0, 200)).all()


def test_missing_frame_is_named(tmp_path):
    with pytest.raises(DataError, match='gone.jpg'):
        load_frame(make_sample(tmp_path / 'gone.jpg', (32, 32)))
