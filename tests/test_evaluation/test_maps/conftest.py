"""Boxes of five clips, their maps of different sizes, and a report on them."""

import json

import numpy as np
import pytest

from mmxpl.evaluation.functional import ALL_RULES
from mmxpl.evaluation.maps import build_report, open_maps, open_truth, score_files

BOXES = {
    'a': [[0.1, 0.1, 0.8, 0.9]],
    'b': [[0.0, 0.2, 0.3, 0.6], [0.5, 0.5, 0.9, 0.9]],
    'c': [[0.4, 0.4, 0.4, 0.9]],  # without area
    'd': [[0.5, 0.5, 0.5 + 1.01 / 224, 0.5 + 1.01 / 224]],  # one pixel
    'e': [[0, 0, 1, 1]],
}


@pytest.fixture
def truth(tmp_path):
    items = [{'file': i, 'class': 'cat', 'bbox': b} for i, b in BOXES.items()]
    items[1]['class'] = 'dog'
    path = tmp_path / 'vggss.json'
    path.write_text(json.dumps(items))
    return open_truth('vggss', str(path))


@pytest.fixture
def maps(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        'a': rng.random((7, 7)),
        'b': rng.random((14, 10)),
        'c': np.full((1, 1), 0.5),
        'd': rng.random((224, 224)),
        'e': np.ones((300, 260)),
    }
    np.savez(tmp_path / 'maps.npz', **arrays)
    return open_maps(str(tmp_path / 'maps.npz'))


@pytest.fixture
def report_of(truth, maps):
    """Gives the report with options of :func:`build_report`; the clip z is missing."""
    ids = sorted(BOXES)
    scores = score_files({'maps': maps}, truth, ids, (*ALL_RULES,))

    def report(**options):
        return build_report(scores, [*ids, 'z'], {}, 'bilinear', **options)

    return report
