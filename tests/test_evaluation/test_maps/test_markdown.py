from mmxpl.evaluation.maps import format_markdown


def test_the_page_names_what_is_missing_and_marks_what_is_below_the_disc(report_of):
    report = report_of(resamples=50)
    page = format_markdown(report, classes=True)
    assert '1 of 6 expected are MISSING' in page
    assert '| dog | 1 |' in page
    assert 'below the centred disc' in page
    marked = page.split('\n\n')[0].count('\\*')
    assert marked == len(report['below_disc']) > 0
