"""Scoring of anyone's maps through the command line, good input and bad."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / 'shared'
GOLDEN = SHARED / 'golden' / 'localization_metrics.json'
VGGSS = SHARED / 'metadata' / 'vggss.json'
RULES = ('median', 'median_strict', 'adaptive', 'fixed')


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a tool in this process and returns what it printed."""

    def run(tool, *arguments):
        monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments)])
        path = ROOT / 'tools/analysis_tools' / tool
        runpy.run_path(str(path), run_name='__main__')
        return capsys.readouterr().out

    return run


@pytest.fixture
def refusal(run, capsys):
    """Runs a tool that must refuse, and returns its only line."""

    def refusal(*arguments):
        with pytest.raises(SystemExit) as caught:
            run(*arguments)
        assert caught.value.code == 2
        (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
        return line

    return refusal


@pytest.fixture
def vggss(tiny_world, tmp_path):
    """Arguments that score one map for each clip of the tiny world."""
    rng = np.random.default_rng(0)
    ids = [item['file'] for item in json.loads((tiny_world / 'vggss.json').read_text())]
    for k, name in enumerate(ids):
        path = tmp_path / 'maps' / f'{name}.npy'
        path.parent.mkdir(exist_ok=True)
        np.save(path, rng.random((7 + k, 9)))
    return [
        'eval_maps.py',
        tmp_path / 'maps',
        '--ann',
        tiny_world / 'vggss.json',
        '--ann-format',
        'vggss',
    ]


def test_page_and_files(run, vggss, tmp_path, tiny_world):
    page = run(
        *vggss,
        '--json',
        tmp_path / 'new/scores.json',
        '--md',
        tmp_path / 'page.md',
        '--group',
        f'val={tiny_world}/val.txt',
        '--preset',
        'slavc',
    )
    assert (tmp_path / 'page.md').read_text() == page
    report = json.loads((tmp_path / 'new/scores.json').read_text())
    for row in (report['scores'], *report['reference'].values()):
        for rule in RULES:
            assert 0 <= row[rule]['CIoU@0.5'] <= row[rule]['CIoU@0.3'] <= 100
            assert 0 <= row[rule]['AUC'] <= 100
    assert list(report['reference']) == ['disc', 'whole', 'oracle']
    protocol = report['protocol']
    assert protocol['n_evaluated'] == protocol['n_expected'] == 12
    assert protocol['missing'] == []
    assert protocol['unit'] == 'per cent'
    assert protocol['interpolation'] == 'bicubic, align_corners=True'
    assert report['groups']['list']['val']['n'] == 2
    assert 'https://github.com/stoneMo/SLAVC' in page


def test_all_formats_and_containers_agree(run, vggss, tmp_path, tiny_world):
    arrays = {p.stem: np.load(p) for p in (tmp_path / 'maps').iterdir()}
    np.savez(tmp_path / 'maps.npz', **arrays)
    run(*vggss, '--json', tmp_path / 'a.json')
    run(
        'eval_maps.py',
        tmp_path / 'maps.npz',
        '--ann',
        tiny_world / 'annotations.json',
        '--ann-format',
        'json',
        '--json',
        tmp_path / 'b.json',
    )
    one, other = (json.loads((tmp_path / f'{n}.json').read_text()) for n in 'ab')
    for key in ('scores', 'reference', 'intervals', 'sweep', 'groups'):
        assert one[key] == other[key]


def test_missing_and_surplus_maps_are_counted(run, refusal, vggss, tmp_path):
    (tmp_path / 'maps/clip-03.npy').rename(tmp_path / 'maps/other.npy')
    page = run(*vggss, '--json', tmp_path / 'a.json')
    assert '1 of 12 expected are MISSING' in page
    protocol = json.loads((tmp_path / 'a.json').read_text())['protocol']
    assert protocol['missing'] == ['clip-03']
    assert protocol['n_evaluated'] == 11
    assert protocol['n_maps_not_expected'] == 1
    assert 'clip-03' in refusal(*vggss, '--missing', 'error')


def test_prior_of_training_labels(run, refusal, vggss, tiny_world, tmp_path):
    train, test = tiny_world / 'train.txt', tiny_world / 'test.txt'
    page = run(*vggss, '--list', test, '--prior', train, '--bootstrap', 0)
    assert 'mean-GT prior' in page
    assert 'n_expected: 2' in page
    assert '95 %' not in page
    assert 'fitted to the test' in refusal(*vggss, '--prior', train)


def test_vision_only_maps_are_a_reference(run, refusal, vggss, tmp_path):
    deaf = tmp_path / 'deaf'
    deaf.mkdir()
    for path in (tmp_path / 'maps').iterdir():
        np.save(deaf / path.name, 1 - np.load(path))
    options = ['--bootstrap', 0, '--json', tmp_path / 'out.json']
    page = run(*vggss, '--vision-only', deaf, *options)
    report = json.loads((tmp_path / 'out.json').read_text())
    run('eval_maps.py', deaf, *vggss[2:], *options)
    alone = json.loads((tmp_path / 'out.json').read_text())
    assert report['reference']['vision'] == alone['scores']
    assert report['protocol']['vision-only maps'] == str(deaf)
    below = {
        f'{rule}/{measure}'
        for rule, values in report['scores'].items()
        for measure, value in values.items()
        if measure != 'mean_CIoU' and value < alone['scores'][rule][measure]
    }
    assert set(report['below_vision']) == below
    assert below
    assert page.count('†') == len(report['below_vision']) + 1
    assert 'vision only |' in page
    (deaf / 'clip-03.npy').unlink()
    line = refusal(*vggss, '--vision-only', deaf)
    assert '1 of 12 scored clips have no map (clip-03)' in line


@pytest.mark.parametrize(
    ('array', 'said'),
    [
        (np.full((7, 7), np.nan), 'NaN'),
        (np.zeros((1, 7, 7)), 'two-dimensional'),
        (np.full((7, 7), 2.0), 'not in [0, 1]'),
        (np.array([['x']]), 'real numbers'),
    ],
)
def test_bad_map_stops_with_its_id(refusal, vggss, tmp_path, array, said):
    np.save(tmp_path / 'maps/clip-05.npy', array)
    line = refusal(*vggss)
    assert 'clip-05' in line
    assert said in line


def test_wrong_input_is_one_line(refusal, vggss, tmp_path, tiny_world):
    tool, maps, ann, world_json, option, name = vggss
    (tmp_path / 'empty').mkdir()
    assert 'holds no map' in refusal(tool, tmp_path / 'empty', *vggss[2:])
    assert 'does not exist' in refusal(tool, tmp_path / 'nothing', *vggss[2:])
    assert 'neither a folder' in refusal(tool, tiny_world / 'vggss.json', *vggss[2:])
    generic = tiny_world / 'annotations.json'
    assert 'must hold a list' in refusal(tool, maps, ann, generic, option, name)
    assert 'must be an object' in refusal(tool, maps, ann, world_json, option, 'json')
    assert 'cannot be listed' in refusal(tool, maps, ann, world_json, option, 'flickr')
    assert 'cannot be read' in refusal(tool, maps, ann, 'no.json', option, name)
    assert 'invalid choice' in refusal(tool, maps, ann, world_json, option, 'coco')
    (tmp_path / 'list.txt').write_text('clip-01\nunknown\n')
    line = refusal(*vggss, '--list', tmp_path / 'list.txt')
    assert '1 of 2 ids have no annotation' in line
    assert 'unknown' in line
    (tmp_path / 'file').touch()
    line = refusal(*vggss, '--json', tmp_path / 'file/scores.json')
    assert 'cannot be written' in line
    assert 'NAME=LIST' in refusal(*vggss, '--group', 'heard')


def test_wrong_ids_show_both_kinds(refusal, vggss, tmp_path):
    for path in (tmp_path / 'maps').iterdir():
        path.rename(path.with_name(f'frame_{path.name}'))
    line = refusal(*vggss)
    assert 'frame_clip-00' in line
    assert 'expected ids like clip-00' in line


def test_comparison(run, refusal, vggss, tmp_path):
    np.savez(
        tmp_path / 'b.npz',
        extra=np.zeros((2, 2)),
        **{
            p.stem: 1 - np.load(p)
            for p in (tmp_path / 'maps').iterdir()
            if p.stem != 'clip-00'
        },
    )
    (tmp_path / 'maps/clip-07.npy').unlink()
    options = [*vggss[2:], '--permutations', 99, '--bootstrap', 50]
    page = run(
        'compare_maps.py',
        tmp_path / 'maps',
        tmp_path / 'b.npz',
        *options,
        '--json',
        tmp_path / 'c.json',
    )
    assert 'n_common: 10' in page
    report = json.loads((tmp_path / 'c.json').read_text())
    assert report['protocol']['n_only_A'] == report['protocol']['n_only_B'] == 1
    for rule in RULES:
        assert 0 < report['comparison'][rule]['AUC']['p_sign_flip'] <= 1
    np.savez(tmp_path / 'd.npz', extra=np.zeros((2, 2)))
    line = refusal('compare_maps.py', tmp_path / 'maps', tmp_path / 'd.npz', *options)
    assert 'not one map' in line


@pytest.mark.skipif(not GOLDEN.is_file(), reason=f'{GOLDEN} is not here')
@pytest.mark.parametrize('kind', ['vggss', 'flickr'])
@pytest.mark.parametrize('preset', ['ezvsl', 'sslalignment'])
def test_presets_give_what_the_public_evaluators_print(run, tmp_path, kind, preset):
    golden = json.loads(GOLDEN.read_text())
    samples = [s for s in golden['samples'] if s['kind'] == kind]
    np.savez(
        tmp_path / 'maps.npz',
        **{f's{n}': np.array(s['map']) for n, s in enumerate(samples)},
    )
    ann = tmp_path / 'ann'
    if kind == 'vggss':
        items = [
            {'file': f's{n}', 'class': 'x', 'bbox': s['boxes']}
            for n, s in enumerate(samples)
        ]
        ann.write_text(json.dumps(items))
    else:
        ann.mkdir()
        for n, s in enumerate(samples):
            boxes = ''.join(
                '<p><bbox><id/>' + ''.join(f'<v>{v}</v>' for v in box) + '</bbox></p>'
                for box in s['boxes']
            )
            (ann / f's{n}.xml').write_text(f'<a>{boxes}</a>')
    run(
        'eval_maps.py',
        tmp_path / 'maps.npz',
        '--ann',
        ann,
        '--ann-format',
        kind,
        '--preset',
        preset,
        '--bootstrap',
        0,
        '--json',
        tmp_path / 'out.json',
    )
    report = json.loads((tmp_path / 'out.json').read_text())
    names = {'median': 'median_ge', 'median_strict': 'median_gt'}
    names |= {'adaptive': 'adaptive_gt'}
    expected_rules = {'ezvsl': ['median'], 'sslalignment': [*names][1:]}[preset]
    assert list(report['preset']['scores']) == expected_rules
    compared = {**report['preset']['scores'], 'fixed': report['scores']['fixed']}
    for rule, found in compared.items():
        public = golden['expected'][f'{names.get(rule, "fixed_0.5_ge")}/{kind}']
        for key in ('CIoU@0.5', 'AUC'):
            assert found[key] / 100 == pytest.approx(public[key], abs=1e-6)
        assert found['mean_CIoU'] / 100 == pytest.approx(public['mean_ciou'], abs=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(not VGGSS.is_file(), reason=f'{VGGSS} is not here')
def test_reference_points_of_vggss(run, tmp_path):
    ids = [item['file'] for item in json.loads(VGGSS.read_text())]
    np.savez(tmp_path / 'maps.npz', **{i: np.ones((1, 1), np.float32) for i in ids})
    run(
        'eval_maps.py',
        tmp_path / 'maps.npz',
        '--ann',
        VGGSS,
        '--ann-format',
        'vggss',
        '--json',
        tmp_path / 'out.json',
    )
    report = json.loads((tmp_path / 'out.json').read_text())
    assert report['protocol']['n_evaluated'] == 5158
    assert report['protocol']['n_empty_ground_truth'] == 2
    points = {
        ('oracle', 'median'): (50.54, 49.47),
        ('disc', 'median'): (34.01, 37.43),
        ('whole', 'median'): (21.95, 31.25),
        ('disc', 'adaptive'): (43.66, 42.93),
    }
    for (row, rule), (rate, area) in points.items():
        found = report['reference'][row][rule]
        # a symmetric disc has ties, which fall this way or that
        assert found['CIoU@0.5'] == pytest.approx(rate, abs=0.02)
        assert found['AUC'] == pytest.approx(area, abs=0.02)
    # a constant map is the whole image under >=, and nothing under >
    whole = report['reference']['whole']['median']
    assert report['scores']['median']['AUC'] == pytest.approx(whole['AUC'])
    assert report['scores']['median_strict']['CIoU@0.5'] == 0
