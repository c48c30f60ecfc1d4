from mmxpl.datasets.inspection.report import count_problems, format_report

LIST = dict(split='train', count=3, id_list_hash='abc', path='t.txt', duplicates=[])
GOOD = dict(
    lists=[LIST],
    leaks=dict(train_test=dict(ids=[])),
    annotations=dict(count=3, boxes=4, empty=[]),
    missing={'no frame': []},
    media=dict(
        count=3,
        rates={16000: 3},
        durations={'3 s': 3},
        unreadable={},
        silent=[],
        same_frame=[],
    ),
)


def test_nothing_wrong():
    assert count_problems(GOOD) == {}
    text = format_report(GOOD)
    assert 'no problem found' in text
    for fact in ('3 clips', 'id hash abc', '4 boxes', '16000 Hz: 3', '3 s: 3'):
        assert fact in text
    assert count_problems({}) == {}


def test_every_kind_is_counted_and_some_cases_named():
    bad = dict(
        lists=[dict(LIST, duplicates=['a', 'b'])],
        leaks=dict(train_test=dict(ids=['c']), train_train=dict(ids=['d', 'e'])),
        annotations=dict(count=3, boxes=4, empty=['f'], unannotated=['g', 'h', 'i']),
        missing={'no frame': ['j']},
        media=dict(
            GOOD['media'],
            unreadable={'k': 'is empty'},
            silent=['l'],
            same_sound=[['m', 'n'], ['o', 'p']],
        ),
        content_leaks=dict(val_test=[['q', 'r']]),
    )
    counts = count_problems(bad)
    assert counts == {
        'twice in t.txt': 2,
        'ids in train and test': 1,
        'ids in two train lists': 2,
        'no frame': 1,
        'clips with no box left within the frame': 1,
        'evaluated clips without annotation': 3,
        'unreadable clips': 1,
        'silent sounds': 1,
        'groups of files with the same sounds': 2,
        'contents in val and test': 1,
    }
    text = format_report(bad)
    for kind, count in counts.items():
        assert f'{kind}: {count} (' in text
    for case in ('k: is empty', 'm = n', 'q = r'):
        assert case in text
