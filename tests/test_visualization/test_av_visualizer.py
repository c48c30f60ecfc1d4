from uuid import uuid4

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, PixelData

from mmxpl.registry import VISUALIZERS
from mmxpl.structures import AVDataSample
from mmxpl.utils import DataError
from mmxpl.visualization import AVLocVisualizer, drawing
from mmxpl.visualization import av_visualizer as module
from mmxpl.visualization.av_visualizer import sample_ciou
from mmxpl.visualization.drawing import BOX_COLOUR

PANEL, GAP = 224, 12


def frame(height=64, width=64):
    return np.full((height, width, 3), 90, np.uint8)


def read_png(path):
    return cv2.imread(str(path))[..., ::-1]


def one_hot_map(row, column, value=0.4):
    prob = torch.zeros(1, 8, 8)
    prob[0, row, column] = value
    return prob


def make_sample():
    sample = AVDataSample(metainfo={'sample_id': 'clip', 'category': 'dog barking'})
    sample.gt_instances = InstanceData(bboxes=torch.tensor([[0.5, 0.25, 1.0, 0.75]]))
    sample.gt_map = torch.zeros(224, 224)
    sample.gt_map[56:168, 112:] = 1
    sample.pred_map = PixelData(
        ens=one_hot_map(6, 6), b=one_hot_map(1, 6), a=one_hot_map(1, 1)
    )
    return sample


@pytest.fixture
def visualizer():
    return AVLocVisualizer()


@pytest.fixture
def titles(monkeypatch):
    """Titles and details of all panels that were made."""
    made = []
    make_panel = module.make_panel

    def spy(picture, title, detail=''):
        made.append((title, detail))
        return make_panel(picture, title, detail)

    for user in (module, drawing):
        monkeypatch.setattr(user, 'make_panel', spy)
    return made


def pictures(row, count):
    """The 224 px square pictures of the first panels of a row."""
    bottom = row.shape[0] - GAP
    lefts = [GAP + i * (PANEL + GAP) for i in range(count)]
    return [row[bottom - PANEL : bottom, left : left + PANEL] for left in lefts]


def brightest(picture):
    heat = picture.astype(int)[..., 0]  # red grows with probability
    return np.unravel_index(heat.argmax(), heat.shape)


def slow_adaptive_ciou(prob, gt):
    """CIoU of the pixels that exceed the k-th largest, k the area of the GT."""
    flat, gt = prob.flatten().tolist(), gt.flatten().tolist()
    threshold = sorted(flat, reverse=True)[sum(g > 0 for g in gt) - 1]
    mask = [p > threshold for p in flat]
    hit = sum(g for m, g in zip(mask, gt, strict=True) if m)
    miss = sum(m and g == 0 for m, g in zip(mask, gt, strict=True))
    return hit / (sum(gt) + miss)


def test_is_built_from_a_config():
    cfg = {'type': 'AVLocVisualizer', 'name': uuid4().hex, 'rule': 'fixed'}
    visualizer = VISUALIZERS.build(cfg)
    assert isinstance(visualizer, AVLocVisualizer)
    with pytest.raises(ValueError, match="rule must be one of .* but is 'mean'"):
        AVLocVisualizer(rule='mean')


def test_row_shows_frame_then_a_b_and_ensemble(visualizer, titles):
    sample = make_sample()
    del sample.gt_map
    row = visualizer.add_datasample('x', frame(), sample)
    assert titles == [
        ('clip', 'dog barking'),
        ('Localizer A', ''),
        ('Localizer B', ''),
        ('Ensemble', ''),
    ]
    sample.gt_instances = InstanceData(bboxes=torch.zeros(0, 4))
    row = visualizer.draw(frame(), sample)
    first, *maps = pictures(row, 4)
    assert (first == 90).all()
    near, far = round(PANEL / 7), round(6 * PANEL / 7)
    for picture, expected in zip(
        maps, [(near, near), (near, far), (far, far)], strict=True
    ):
        assert np.abs(np.subtract(brightest(picture), expected)).max() <= 1


def test_boxes_lie_at_their_pixels_in_every_panel(visualizer):
    row = visualizer.draw(frame(), make_sample())
    for picture in pictures(row, 4):
        assert (picture[112, 112] == BOX_COLOUR).all()  # left side
        assert (picture[112, 223] == BOX_COLOUR).all()  # right side
        assert (picture[56, 170] == BOX_COLOUR).all()  # top
        assert (picture[167, 170] == BOX_COLOUR).all()  # bottom
        assert not (picture[:50] == BOX_COLOUR).all(2).any()
        assert not (picture[:, :105] == BOX_COLOUR).all(2).any()


def test_ground_truth_without_boxes_is_outlined(visualizer):
    sample = make_sample()
    del sample.gt_instances
    picture = pictures(visualizer.draw(frame(), sample), 1)[0]
    outline = (picture != 90).any(2)
    assert outline[112, 109:115].any()
    assert not outline[60:160, 120:218].any()
    assert not outline[:, :105].any()


def test_ciou_agrees_with_a_slow_one(visualizer, titles):
    torch.manual_seed(0)
    gt_map = torch.zeros(16, 16)
    gt_map[3:9, 5:14] = 0.5
    gt_map[4:8, 5:14] = 1.0
    prob = (0.3 * torch.rand(1, 16, 16) + 0.6 * gt_map).clamp(0, 1)
    expected = slow_adaptive_ciou(prob, gt_map)
    assert 0.3 < expected < 1
    assert sample_ciou(prob, gt_map, 'adaptive') == pytest.approx(expected)
    sample = AVDataSample(gt_map=gt_map, pred_map=PixelData(a=prob))
    visualizer.draw(frame(), sample)
    assert titles[1] == ('Localizer A', f'CIoU {expected:.2f} (adaptive)')


def test_rule_of_the_ciou_is_a_choice(titles):
    AVLocVisualizer(rule='fixed').draw(frame(), make_sample())
    assert titles[1] == ('Localizer A', 'CIoU 0.00 (fixed)')


@pytest.mark.parametrize('hide', ['draw_gt', 'empty'])
def test_no_ciou_without_ground_truth(visualizer, titles, hide):
    sample = make_sample()
    if hide == 'empty':
        sample.gt_map.zero_()
    visualizer.draw(frame(), sample, draw_gt=hide != 'draw_gt')
    assert [detail for _, detail in titles[1:]] == ['', '', '']


def test_parts_can_be_left_out(visualizer):
    sample = make_sample()
    sample.pseudo_label = torch.cat([one_hot_map(1, 1), one_hot_map(1, 1)])
    widths = {
        flags: visualizer.draw(frame(), sample, True, *flags).shape[1]
        for flags in ((False, False), (True, False), (False, True), (True, True))
    }
    step = PANEL + GAP
    assert widths[False, False] == GAP + step
    assert widths[True, True] - widths[True, False] == 2 * step
    assert widths[True, False] - widths[False, True] == step
    bare = visualizer.draw(frame(), sample, draw_gt=False, draw_pred=False)
    assert (pictures(bare, 1)[0] == 90).all()


def test_a_frame_alone(visualizer):
    row = visualizer.add_datasample('x', frame())
    assert row.shape[1] == PANEL + 2 * GAP


@pytest.mark.parametrize('shape', [(48, 48), (48, 90), (90, 48), (1000, 700)])
def test_any_size_of_frame(visualizer, shape):
    row = visualizer.draw(frame(*shape), make_sample())
    assert row.dtype == np.uint8
    assert 224 < row.shape[0] < 600
    assert 4 * 224 < row.shape[1] < 2300


@pytest.mark.parametrize(
    'image',
    [np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8), np.zeros((3, 8, 8), np.uint8)],
)
def test_image_of_another_kind_is_refused(visualizer, image):
    with pytest.raises(ValueError, match='RGB uint8'):
        visualizer.draw(image)


def test_picture_goes_to_the_file_instead_of_the_backends(tmp_path):
    visualizer = AVLocVisualizer(
        vis_backends=[{'type': 'LocalVisBackend'}], save_dir=str(tmp_path)
    )
    out_file = tmp_path / 'out' / 'clip.png'
    row = visualizer.add_datasample('x', frame(), make_sample(), out_file=str(out_file))
    assert (read_png(out_file) == row).all()
    assert not list(tmp_path.rglob('x_*.png'))

    visualizer.add_datasample('x', frame(), make_sample(), step=7)
    (stored,) = tmp_path.rglob('x_7.png')
    assert (read_png(stored) == row).all()


def test_show_opens_a_window_and_nothing_else(tmp_path, monkeypatch):
    visualizer = AVLocVisualizer(
        vis_backends=[{'type': 'LocalVisBackend'}], save_dir=str(tmp_path)
    )
    shown = []
    monkeypatch.setattr(
        visualizer, 'show', lambda image, win_name, wait_time: shown.append(win_name)
    )
    visualizer.add_datasample('x', frame(), make_sample(), show=True, wait_time=1)
    assert shown == ['x']
    assert not list(tmp_path.rglob('*.png'))


def test_show_without_a_display_does_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr('matplotlib.pyplot.get_backend', lambda: 'Agg')
    with pytest.raises(DataError, match='there is no display .*backend is agg'):
        AVLocVisualizer().show(frame())
