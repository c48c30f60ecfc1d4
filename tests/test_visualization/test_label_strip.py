import math

import numpy as np
import pytest
import torch

from mmxpl.visualization import pseudo_label_strip
from mmxpl.visualization.label_strip import binary_entropy, map_title
from mmxpl.visualization.panel import BOX_COLOUR

FRAME = np.full((64, 64, 3), 90, np.uint8)


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
    one = pseudo_label_strip(FRAME, labels, [0, 1, 5])
    two = pseudo_label_strip(FRAME, {'a': labels, 'b': labels}, [0, 1, 5])
    assert two.shape[1] == one.shape[1] > 4 * 224
    assert two.shape[0] > 2 * 224 > one.shape[0]


def test_panels_follow_the_visits():
    faint, strong = torch.full((7, 7), 0.1), torch.full((7, 7), 0.9)
    strip = pseudo_label_strip(FRAME, torch.stack([faint, strong, faint]), [0, 1, 2])
    # four panels of 224 px with 12 px around each; a pixel near their bottom left
    first, second, third = (strip[-40, 12 + i * 236 + 20].sum() for i in (1, 2, 3))
    assert first == third
    assert second > first + 200


def test_boxes_are_drawn_on_every_panel():
    boxes = torch.tensor([[0.25, 0.25, 0.75, 0.75]])
    strip = pseudo_label_strip(FRAME, torch.rand(2, 7, 7), [0, 1], boxes)
    top = strip.shape[0] - 12 - 224
    for panel in range(3):
        left = 12 + panel * 236 + 56
        assert (strip[top + 100, left] == BOX_COLOUR).all()


@pytest.mark.parametrize(
    ('shape', 'visits'), [((2, 7, 7), [0]), ((7, 7), [0]), ((0, 7, 7), [])]
)
def test_labels_must_match_the_visits(shape, visits):
    with pytest.raises(ValueError, match='one map for each'):
        pseudo_label_strip(FRAME, torch.rand(shape), visits)
