import numpy as np
import pytest

from mmxpl.visualization import contact_sheet


def flat(height, width, value):
    return np.full((height, width, 3), value, np.uint8)


def test_pictures_fill_rows_first():
    sheet = contact_sheet([flat(4, 6, v) for v in (10, 20, 30)], columns=2, padding=2)
    assert sheet.shape == (2 + 4 + 2 + 4 + 2, 2 + 6 + 2 + 6 + 2, 3)
    assert (sheet[2:6, 2:8] == 10).all()
    assert (sheet[2:6, 10:16] == 20).all()
    assert (sheet[8:12, 2:8] == 30).all()
    # all else is paper
    assert (sheet == 255).all(2).sum() == 14 * 18 - 3 * 24


def test_cells_are_as_large_as_the_largest_picture_in_line():
    small, wide, high = flat(2, 2, 0), flat(2, 9, 1), flat(7, 2, 2)
    sheet = contact_sheet([small, wide, high, small], columns=2, padding=1)
    assert sheet.shape == (1 + 2 + 1 + 7 + 1, 1 + 2 + 1 + 9 + 1, 3)
    assert (sheet[1:3, 4:13] == 1).all()
    assert (sheet[4:11, 1:3] == 2).all()
    assert (sheet[4:6, 4:6] == 0).all()


def test_more_columns_than_pictures():
    assert contact_sheet([flat(4, 6, 0)], columns=5, padding=0).shape == (4, 6, 3)


@pytest.mark.parametrize(('count', 'columns'), [(0, 1), (1, 0)])
def test_an_empty_sheet_is_refused(count, columns):
    with pytest.raises(ValueError, match='at least one picture and one column'):
        contact_sheet([flat(4, 6, 0)] * count, columns)
