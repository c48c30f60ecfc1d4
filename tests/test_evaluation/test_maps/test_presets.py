import pytest

from mmxpl.evaluation.maps import PRESETS, format_markdown


@pytest.mark.parametrize('name', PRESETS)
def test_every_preset_gives_a_score(report_of, name):
    report = report_of(preset=PRESETS[name])
    for values in report['preset']['scores'].values():
        assert 0 <= values['CIoU@0.5'] <= 100
    page = format_markdown(report)
    assert PRESETS[name].source in page
