import math

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from mmxpl.structures import AVDataSample
from mmxpl.visualization import pseudo_label_strip
from mmxpl.visualization.drawing import BOX_COLOUR, map_title
from mmxpl.visualization.sample_sheets import (
    _draw_waveform,
    binary_entropy,
    draw_spectrogram,
    sample_sheet,
)

FRAME = np.full((224, 224, 3), 128, np.uint8)


def _sample(**meta):
    return AVDataSample(
        metainfo={'sample_id': 'a', 'is_labeled': True, 'category': 'x', **meta}
    )


def _marked(picture):
    """Columns of the picture in which a line of the ground truth runs."""
    return np.flatnonzero((picture == BOX_COLOUR).all(axis=2).any(axis=0))


def test_panels_stand_in_a_row():
    sample = _sample(is_labeled=False)
    bare = sample_sheet(FRAME, sample, {})
    assert not len(_marked(bare))
    spectrogram = torch.rand(1, 40, 75)
    more = sample_sheet(FRAME, sample, {'mel': spectrogram}, [(FRAME, None)] * 2)
    assert more.shape[0] == bare.shape[0]
    assert more.shape[1] == 12 + 4 * (bare.shape[1] - 12)


def test_boxes_are_drawn_where_they_are():
    sample = _sample()
    sample.gt_instances = InstanceData(bboxes=torch.tensor([[0.5, 0, 1, 0.5]]))
    marked = _marked(sample_sheet(FRAME, sample, {}))
    assert marked.min() == 12 + 112
    assert marked.max() == 12 + 223


@pytest.mark.parametrize('value', [0.5, 1.0])
def test_a_region_without_box_and_its_view_are_outlined(value):
    sample = _sample()
    sample.gt_map = torch.zeros(224, 224)
    sample.gt_map[:, :112] = value
    view = sample.gt_map.flip(1)
    picture = sample_sheet(FRAME, sample, {}, [(FRAME, view)])
    width = (picture.shape[1] - 12) // 3
    marked = _marked(picture)
    first = marked[marked < width]
    last = marked[marked >= 2 * width] - 2 * width
    assert first.max() == pytest.approx(12 + 111, abs=3)
    assert last.min() == pytest.approx(12 + 112, abs=3)


def test_a_consensus_is_outlined_at_half_of_its_highest_value():
    sample = _sample()
    sample.gt_map = torch.zeros(224, 224)
    sample.gt_map[:, 60:160] = 0.3
    sample.gt_map[:, 100:120] = 0.8
    picture = sample_sheet(FRAME, sample, {})
    marked = _marked(picture[:, : 12 + 224]) - 12
    assert (marked.min(), marked.max()) == pytest.approx((100, 119), abs=2)


def test_an_empty_ground_truth_has_no_outline():
    sample = _sample(is_sounding=False)
    sample.gt_map = torch.zeros(16, 16)
    assert not len(_marked(sample_sheet(FRAME, sample, {})))


def test_low_bands_are_at_the_bottom():
    values = torch.arange(40.0).reshape(1, 40, 1).expand(1, 40, 5) * 7 - 100
    light = draw_spectrogram(values).astype(int).sum(axis=2)
    assert light.shape == (40, 5)
    assert light[0, 0] == light.max()
    assert light[-1, 0] == light.min()
    assert np.isfinite(draw_spectrogram(torch.zeros(1, 4, 4))).all()


def test_the_waveform_is_drawn_to_scale():
    wave = torch.zeros(1000)
    wave[500:] = torch.tensor([-0.5, 1.0]).repeat(250)
    picture = _draw_waveform(wave, (101, 50))
    rows = [np.flatnonzero((picture[:, x] < 255).any(axis=1)) for x in (0, 49)]
    assert rows[0].tolist() == [50]  # silence is a line in the middle
    assert (rows[1].min(), rows[1].max()) == (0, 75)
    assert len(rows[1]) == 76
    # fewer samples than columns
    assert (_draw_waveform(torch.ones(3), (11, 7))[0] < 255).all()


def test_pseudo_labels_are_panels_of_their_own():
    sample = _sample(is_labeled=False)
    width = sample_sheet(FRAME, sample, {}).shape[1]
    labels = {'a': torch.zeros(4, 4), 'b': torch.ones(4, 4)}
    picture = sample_sheet(FRAME, sample, {}, pseudo_labels=labels)
    assert picture.shape[1] - width == 2 * (width - 12)
    low, high = (picture[100, 12 + n * 236 + 100].astype(int).sum() for n in (1, 2))
    assert high > low


STRIP = np.full((64, 64, 3), 90, np.uint8)


def test_names_of_maps():
    assert map_title('a') == 'Localizer A'
    assert map_title('ens') == 'Ensemble'
    assert map_title('mean teacher') == 'mean teacher'


def test_entropy_against_the_definition():
    probs = [0.0, 1.0, 0.5, 0.2]
    terms = [0.0, 0.0, 1.0, -0.2 * math.log2(0.2) - 0.8 * math.log2(0.8)]
    entropy = binary_entropy(torch.tensor(probs).reshape(2, 2))
    assert entropy == pytest.approx(sum(terms) / 4)


def test_one_row_for_each_localizer():
    labels = torch.rand(3, 7, 7)
    one = pseudo_label_strip(STRIP, {'a': labels}, [0, 1, 5])
    two = pseudo_label_strip(STRIP, {'a': labels, 'b': labels}, [0, 1, 5])
    assert two.shape[1] == one.shape[1] > 4 * 224
    assert two.shape[0] > 2 * 224 > one.shape[0]


def test_panels_follow_the_visits():
    faint, strong = torch.full((7, 7), 0.1), torch.full((7, 7), 0.9)
    labels = torch.stack([faint, strong, faint])
    strip = pseudo_label_strip(STRIP, {'a': labels}, [0, 1, 2])
    # four panels of 224 px with 12 px around each; a pixel near their bottom left
    first, second, third = (strip[-40, 12 + i * 236 + 20].sum() for i in (1, 2, 3))
    assert first == third
    assert second > first + 200


@pytest.mark.parametrize(
    ('shape', 'visits'), [((2, 7, 7), [0]), ((7, 7), [0]), ((0, 7, 7), [])]
)
def test_labels_must_match_the_visits(shape, visits):
    with pytest.raises(ValueError, match='one map for each'):
        pseudo_label_strip(STRIP, {'a': torch.rand(shape)}, visits)
