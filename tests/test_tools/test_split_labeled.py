import json
import runpy
from pathlib import Path

import pytest

from mmxpl.datasets import VGGSSDataset, read_id_list
from mmxpl.utils import hash_ids

TOOL = Path(__file__).parents[2] / 'tools' / 'dataset_converters' / 'split_labeled.py'


@pytest.fixture(scope='module')
def split():
    main = runpy.run_path(str(TOOL))['main']
    return lambda *arguments: main([str(a) for a in arguments])


@pytest.fixture
def annotated(tmp_path):
    """30 clips of 3 classes, of which 'c00' has no usable box."""
    items = [
        {'file': f'c{n:02d}', 'class': 'xyz'[n % 3], 'bbox': [[0, 0, 0.5, 0.5]]}
        for n in range(30)
    ]
    items[0]['bbox'] = [[2, 2, 3, 3]]
    (tmp_path / 'vggss.json').write_text(json.dumps(items))
    (tmp_path / 'ids.csv').write_text('\r\n'.join(i['file'] for i in items))
    return tmp_path


def _parts(folder):
    return {path.stem: read_id_list(path) for path in folder.glob('*.txt')}


def test_parts_are_disjoint_stratified_and_traceable(split, annotated, capsys):
    (annotated / 'more.txt').write_text('c01\nc02\nu1\nu2\n')
    out = annotated / 'out'
    arguments = ['--ids', annotated / 'ids.csv', '--classes', annotated / 'vggss.json']
    arguments += ['--labeled', 6, '--val', 3, '--out', out]
    split(*arguments, '--unlabeled-list', annotated / 'more.txt')
    printed = capsys.readouterr().out
    parts = _parts(out)
    assert {name: len(ids) for name, ids in parts.items()} == {
        'labeled': 6,
        'val': 3,
        'test': 21,
        'unlabeled': 2,
    }
    divided = parts['labeled'] + parts['val'] + parts['test']
    assert sorted(divided) == [f'c{n:02d}' for n in range(30)]
    assert parts['unlabeled'] == ['u1', 'u2']
    assert '2 of 4 clips are in another part' in printed
    assert 'c00' in parts['test']
    # 9, 10 and 10 usable clips of each class
    for name, fair in (('labeled', {1, 2, 3}), ('val', {0, 1, 2})):
        assert {sum(int(i[1:]) % 3 == k for i in parts[name]) for k in range(3)} <= fair
    facts = json.loads((out / 'splits.json').read_text())
    for name, ids in parts.items():
        assert facts['parts'][name]['id_list_hash'] == hash_ids(ids)
        assert hash_ids(ids) in printed
    assert 'do not compare with those of the whole list' in printed
    # the same again is no conflict; another seed is
    split(*arguments, '--unlabeled-list', annotated / 'more.txt')
    assert _parts(out) == parts
    with pytest.raises(SystemExit):
        split(*arguments, '--seed', 1)
    assert 'exists already with other content' in capsys.readouterr().err
    assert _parts(out) == parts
    split(*arguments, '--seed', 1, '--overwrite')
    assert not (out / 'unlabeled.txt').exists()  # of the former call
    assert (out / 'labeled.txt').read_text().split() != parts['labeled']


def test_the_score_table_s_hash_is_the_list_s(split, spoilable_world):
    root = spoilable_world
    (root / 'ids.txt').write_text('\n'.join(f'clip-{n:02d}' for n in range(12)))
    split(
        *('--ids', root / 'ids.txt', '--classes', root / 'vggss.json'),
        *('--labeled', 3, '--val', 2, '--out', root / 'lists'),
    )
    facts = json.loads((root / 'lists' / 'splits.json').read_text())
    for part in ('val', 'test'):
        dataset = VGGSSDataset(
            data_root=str(root),
            id_list=f'lists/{part}.txt',
            labeled=True,
            test_mode=True,
        )
        wanted = facts['parts'][part]
        assert dataset.metainfo['id_list_hash'] == wanted['id_list_hash']
        assert dataset.metainfo['n_expected'] == wanted['count'] == len(dataset)


def test_a_list_that_is_not_there_and_a_folder_that_cannot_be_made(
    split, annotated, capsys
):
    arguments = ['--ids', annotated / 'ids.csv', '--labeled', 6, '--val', 3]
    with pytest.raises(SystemExit):
        split(*arguments, '--out', annotated / 'o', '--unlabeled-list', 'nope.txt')
    assert 'Name a text file with one id on each line' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        split(*arguments, '--out', annotated / 'ids.csv/inside')
    assert 'Give another --out.' in capsys.readouterr().err


def test_a_published_test_list_stays_as_it_is(split, annotated, capsys):
    (annotated / 'test.csv').write_bytes(b't1,4\r\nt2,5\r\n')
    arguments = ['--ids', annotated / 'ids.csv', '--test-list', annotated / 'test.csv']
    split(*arguments, '--labeled', 28, '--val', 2, '--out', annotated / 'out')
    assert _parts(annotated / 'out')['test'] == ['t1', 't2']
    printed = capsys.readouterr().out
    assert 'do not compare' not in printed
    assert 'in no part' not in printed
    split(*arguments, '--labeled', 20, '--val', 2, '--out', annotated / 'a')
    assert 'ids.csv: 8 clips are in no part' in capsys.readouterr().out
    (annotated / 'test.csv').write_bytes(b't1,4\r\nc05,5\r\n')
    with pytest.raises(SystemExit):
        split(*arguments, '--labeled', 2, '--val', 2, '--out', annotated / 'b')
    assert 'share 1 ids, such as c05' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('labeled', 'val', 'ids', 'message'),
    [
        (20, 10, 'c00\n', 'do not fit'),
        (0, 3, '', '--labeled: must be a whole number, at least 1'),
        (3, -1, '', '--val: must be a whole number, at least 1'),
        (3, 3, 'new\n', '1 ids are not in'),
    ],
)
def test_what_cannot_be_is_refused(
    split, annotated, capsys, labeled, val, ids, message
):
    path = annotated / 'other.txt'
    path.write_text(ids + ''.join(f'c{n:02d}\n' for n in range(1, 30)))
    with pytest.raises(SystemExit) as caught:
        split(
            *('--ids', path, '--classes', annotated / 'vggss.json'),
            *('--labeled', labeled, '--val', val, '--out', annotated / 'out'),
        )
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
    assert not (annotated / 'out').exists()
