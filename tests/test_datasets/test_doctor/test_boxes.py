from mmxpl.datasets.doctor import check_annotations


def test_every_kind_of_bad_annotation():
    mask = {'size': [2, 2], 'counts': [1, 3]}
    facts = check_annotations(
        {
            'good': {'bboxes': [[0, 0, 1, 1]]},
            'wide': {'bboxes': [[0.5, 0, 1.5, 1], [0, 0, 0.1, 0.1]]},
            'flat': {'bboxes': [[0.5, 0, 0.5, 1], [0, 0, 0.1, 0.1]]},
            'gone': {'bboxes': [[2, 0, 3, 1]]},
            'none': {'bboxes': []},
            'mask': {'bboxes': None, 'mask': mask},
            'bare': {'bboxes': None, 'mask': {'size': [2, 2], 'counts': [4]}},
            'torn': {'bboxes': [[0, 0, 1, 1]], 'mask': {'size': [2, 2], 'counts': [3]}},
            'unlabeled': {},
        },
        evaluated={'good', 'missing'},
    )
    assert facts == {
        'count': 9,
        'boxes': 7,
        'out_of_range': ['wide', 'gone'],
        'without_area': ['flat', 'gone'],
        'empty': ['gone', 'none'],
        'bad_mask': ['bare', 'torn'],
        'unannotated': ['missing'],
    }
