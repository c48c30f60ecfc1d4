import json
import os
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile
from pycocotools import mask as coco_mask

from mmxpl.utils import DataError

PROJECT = Path(__file__).parents[2] / 'projects' / 'tuxpaint'
sys.path.insert(0, str(PROJECT))

import make_lists  # noqa: E402
import make_scenes  # noqa: E402
from cutouts import names, photos, sound, stamps  # noqa: E402

pytestmark = pytest.mark.xdist_group('tuxpaint')  # its clips are made once
SIZE = 64

# Pure colours on grey photographs, pure tones: what is where, and what is heard,
# can be told from the files alone.
KINDS = {
    'frog': ((0, 220, 0), 400.0),
    'horn': ((0, 0, 220), 700.0),
    'kite': ((220, 0, 0), 1100.0),
    'lamp': ((220, 0, 220), 1700.0),
}


def write_cutout(path, colour, size=(120, 160), fringe=(255, 255, 255)):
    """An ellipse with a notch, its half transparent outline in another colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = size
    alpha = np.zeros(size, np.uint8)
    centre, axes = (width // 2, height // 2), (width // 2 - 6, height // 2 - 6)
    cv2.ellipse(alpha, centre, axes, 0, 30, 330, 255, -1)
    opaque = alpha == 255
    near = cv2.dilate(alpha, np.ones((3, 3))) > 0
    image = np.zeros((*size, 4), np.uint8)
    image[..., :3] = fringe
    image[opaque, :3] = colour
    image[..., 3] = np.where(opaque, 255, np.where(near, 120, 0))
    cv2.imwrite(str(path), image)


def tone(frequency, seconds=1.2, rate=22050, gain=0.5):
    time = np.arange(int(seconds * rate)) / rate
    fade = np.minimum(1, np.minimum(time, seconds - time) / 0.02)
    return (gain * fade * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def write_photo(path, seed, size=(150, 200)):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    grey = cv2.resize(rng.uniform(60, 180, (5, 7)).astype(np.float32), size[::-1])
    cv2.imwrite(str(path), np.repeat(grey[..., None], 3, 2).astype(np.uint8))


@pytest.fixture(scope='module')
def package(tmp_path_factory):
    """An unpacked package with four good classes and one of every bad stamp."""
    root = tmp_path_factory.mktemp('package')
    folder = root / 'usr' / 'share' / 'tuxpaint' / 'stamps'
    animals = folder / 'animals'

    def stamp(name, wave, colour=(9, 9, 9), size=(120, 160), folder=animals):
        write_cutout(folder / f'{name}.png', colour, size)
        soundfile.write(folder / f'{name}.ogg', wave, 22050)

    for name, (colour, frequency) in KINDS.items():
        stamp(name, tone(frequency), colour)
        # The spoken name, which must not be taken.
        soundfile.write(animals / f'{name}_desc_fr.ogg', tone(3000), 22050)
    # A long recording, in stereo, 8 bits, at another rate: tone, then another.
    long = np.concatenate([tone(700, 3.6, 44100), tone(750, 2.4, 44100)])
    stereo = np.stack([long, long], 1)
    (animals / 'horn.ogg').unlink()
    soundfile.write(animals / 'horn.wav', stereo, 44100, subtype='PCM_U8')
    # A second photograph without a sound of its own.
    write_cutout(animals / 'frog-1.png', (0, 220, 0))
    write_cutout(animals / 'parrot.png', (9, 9, 9))
    copy = tone(1100, rate=44100, gain=0.1)[6000:]
    soundfile.write(animals / 'parrot.wav', copy, 44100)
    stamp('mute', np.zeros(9000))
    stamp('7', tone(2000), folder=folder / 'symbols' / 'math')
    stamp('speck', tone(2100), size=(30, 40))
    for n, name in enumerate(('spook', 'flat', 'torn', 'noisy')):
        stamp(name, tone(2200 + 100 * n))
    ghost = np.full((100, 120, 4), 90, np.uint8)
    ghost[:9] = 0
    cv2.imwrite(str(animals / 'spook.png'), ghost)
    cv2.imwrite(str(animals / 'flat.png'), ghost[..., :3])
    (animals / 'torn.png').write_bytes((animals / 'frog.png').read_bytes()[:60])
    (animals / 'noisy.ogg').write_bytes(b'OggS and no more')
    write_cutout(animals / 'unheard.png', (9, 9, 9))

    shown = root / 'photos'
    for i in range(5):
        write_photo(shown / f'{i}.jpg', i)
    (shown / 'again.jpg').write_bytes((shown / '3.jpg').read_bytes())
    (shown / 'torn.jpg').write_bytes(b'no picture')
    write_photo(shown / 'stamp.jpg', 9, (80, 90))
    return root


def run(package, out, *more):
    make_scenes.main(
        [
            *('--stamps', str(package), '--backgrounds', str(package / 'photos')),
            *('--out', str(out), '--clips', '80', '--size', str(SIZE)),
            *('--workers', '1', *more),
        ]
    )


@pytest.fixture(scope='module')
def made(package, tmp_path_factory):
    out = tmp_path_factory.mktemp('made') / 'tux'
    run(package, out)
    return out


def touches_all_sides(mask):
    return all(s.any() for s in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))


def entries(root):
    return json.loads((root / 'annotations.json').read_text())['data_list']


def contents(root):
    files = [p for p in root.rglob('*') if p.is_file()]
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in files}


def test_what_is_left_out(package):
    result = stamps.read_stamps(package)
    assert [kind.name for kind in result.kinds] == sorted(KINDS)
    reasons = {name.split('/')[-1]: reason for name, reason in result.dropped.items()}
    expected = {
        'mute.png': 'silent',
        'parrot.png': 'recording of another class (animals/kite.png)',
        '7.png': 'a drawing',
        'speck.png': 'too small',
        'spook.png': 'see-through',
        'flat.png': 'no alpha',
        'torn.png': 'unreadable image',
        'noisy.png': 'unreadable sound',
    }
    assert set(reasons) == set(expected)
    for name, reason in expected.items():
        assert reason in reasons[name]
    assert '1 silent recording' in stamps.summarise(result.dropped)


def test_several_of_a_kind(package):
    kinds = {kind.name: kind for kind in stamps.read_stamps(package).kinds}
    assert [(p.name, p.splits) for p in kinds['frog'].photos] == [
        ('animals/frog.png', ('train', 'val', 'test')),
        ('animals/frog-1.png', ('test',)),
    ]
    assert [t.splits for t in kinds['horn'].takes] == [('train', 'val'), ('test',)]
    lengths = [len(t.wave) / sound.RATE for t in kinds['horn'].takes]
    assert lengths == pytest.approx([3.6, 2.4], abs=0.05)
    assert [t.splits for t in kinds['kite'].takes] == [('train', 'val', 'test')]


def test_layout(made):
    lists = [(made / f'{s}.txt').read_text().split() for s in ('train', 'val', 'test')]
    assert [len(ids) for ids in lists] == [56, 8, 16]
    data = json.loads((made / 'annotations.json').read_text())
    assert data['metainfo']['classes'] == sorted(KINDS)
    assert [e['sample_id'] for e in data['data_list']] == sum(lists, [])
    assert len(json.loads((made / 'vggss.json').read_text())) == 80
    shares = data['metainfo']['backgrounds']
    assert sorted(sum(shares.values(), [])) == [f'{i}.jpg' for i in range(5)]
    assert all(shares.values())


def test_masks_and_boxes_follow_the_pixels(made):
    for entry in entries(made):
        frame = cv2.imread(str(made / entry['img_path'])).astype(int)
        assert frame.shape == (SIZE, SIZE, 3)
        shown = [o['category'] for o in entry['objects']]
        assert len(set(shown)) == len(shown)
        # Which of the classes a pixel has the hue of; grey and mixtures (where two
        # objects meet) have none.
        grey = frame.max(2) - frame.min(2) < 30
        colours = np.array([KINDS[name][0] for name in shown]) / 220
        unit = frame / np.maximum(np.linalg.norm(frame, axis=2, keepdims=True), 1)
        likeness = unit @ (colours / np.linalg.norm(colours, axis=1, keepdims=True)).T
        nearest = np.where(likeness.max(2) > 0.9, likeness.argmax(2), -1)
        heard = [o['sounding'] for o in entry['objects']]
        seen = np.isin(nearest, np.flatnonzero(heard))
        other = grey | np.isin(nearest, np.flatnonzero(np.logical_not(heard)))
        rle = dict(entry['mask'], counts=entry['mask']['counts'].encode())
        mask = coco_mask.decode(rle).astype(bool)
        inner = cv2.erode(mask.astype(np.uint8), np.ones((5, 5))) > 0
        outer = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5))) > 0
        assert other[inner].sum() <= 0.05 * inner.sum()
        assert seen[~outer].mean() < 0.01
        union = np.zeros_like(mask)
        for x1, y1, x2, y2 in np.rint(np.multiply(entry['bboxes'], SIZE)).astype(int):
            inside = mask[y1:y2, x1:x2]
            # Tight: the mask touches all four sides (only one sounding object may
            # touch a side that another hides).
            assert touches_all_sides(inside)
            union[y1:y2, x1:x2] = True
        assert not (mask & ~union).any()


def test_sound_is_that_of_the_sounding_object(made):
    two = 0
    for entry in entries(made):
        wave, rate = soundfile.read(made / entry['audio_path'])
        assert (rate, wave.shape) == (16000, (48000,))
        heard = {o['category'] for o in entry['objects'] if o['sounding']}
        silent = [o for o in entry['objects'] if not o['sounding']]
        assert silent
        assert entry['category'] in heard
        two += len(heard) == 2
        spectrum = np.abs(np.fft.rfft(wave)) ** 2
        axis = np.fft.rfftfreq(len(wave), 1 / rate)
        total = spectrum.sum()
        share = {
            name: spectrum[(axis > 0.9 * f) & (axis < 1.18 * f)].sum() / total
            for name, (_, f) in KINDS.items()
        }
        assert {name for name, value in share.items() if value > 0.05} == heard
        assert max(share, key=share.get) == entry['category']
    assert 4 < two < 30


def test_splits_share_neither_test_photographs_nor_test_sounds(made):
    for entry in entries(made):
        split = entry['sample_id'].split('_')[0]
        for o in entry['objects']:
            assert o['new_photo'] == (o['photo'] == 'animals/frog-1.png')
            assert split == 'test' or not o['new_photo']
            if o['sounding']:
                assert o['new_sound'] == (o['sound'].endswith('s:]'))
                assert split == 'test' or not o['new_sound']
                assert split != 'test' or '[:' not in o['sound']


def test_same_bytes_for_any_workers_and_only_for_one_seed(
    warm_spawn, package, made, tmp_path
):
    run(package, tmp_path / 'two', '--workers', '2')
    assert contents(tmp_path / 'two') == contents(made)
    run(package, tmp_path / 'other', '--seed', '1')
    name = 'frames/train_00000.jpg'
    assert contents(tmp_path / 'other')[name] != contents(made)[name]


def test_a_clip_does_not_depend_on_how_many_there_are(package, made, tmp_path):
    run(package, tmp_path / 'few', '--clips', '12')
    few, many = contents(tmp_path / 'few'), contents(made)
    assert few['frames/train_00003.jpg'] == many['frames/train_00003.jpg']
    assert few['audio/test_00000.wav'] == many['audio/test_00000.wav']


def test_background_sound_is_of_a_class_that_is_not_in_the_frame(
    package, made, tmp_path
):
    out = tmp_path / 'noisy'
    run(package, out, '--clips', '12', '--background', '6')
    before = {entry['sample_id']: entry for entry in entries(made)}
    for entry in entries(out):
        added = entry.pop('background_sound')['category']
        assert entry == before[entry['sample_id']]  # of the frame nothing changed
        assert added not in {o['category'] for o in entry['objects']}
        wave, rate = soundfile.read(out / entry['audio_path'])
        spectrum = np.abs(np.fft.rfft(wave)) ** 2
        axis = np.fft.rfftfreq(len(wave), 1 / rate)
        low, high = 0.9 * KINDS[added][1], 1.18 * KINDS[added][1]
        share = spectrum[(axis > low) & (axis < high)].sum() / spectrum.sum()
        assert share == pytest.approx(4 / 5, abs=0.03)  # 6 dB are four times the power


def test_lists_of_rare_and_of_new(made, tmp_path, monkeypatch):
    shutil.copy(made / 'annotations.json', tmp_path)
    monkeypatch.setattr(sys, 'argv', ['make_lists.py', str(tmp_path)])
    make_lists.main()
    lists = {p.stem: set(p.read_text().split()) for p in tmp_path.glob('*.txt')}
    clips = {entry['sample_id']: entry for entry in entries(made)}
    rare = {clips[name]['category'] for name in lists['test_rare']}
    assert len(rare) == 1  # a third of four classes
    known = lists['test_known']
    for name, entry in clips.items():
        heard = [o for o in entry['objects'] if o['sounding']]
        photos, sounds = ({o[k] for o in heard} for k in ('new_photo', 'new_sound'))
        test = name.startswith('test')
        assert (name in known) == (test and photos == sounds == {False})
        assert (name in lists['test_new_photo']) == (test and photos == {True})
        assert (name in lists['test_new_sound']) == (test and sounds == {True})
        if name in lists['train_common']:
            assert not rare & {o['category'] for o in entry['objects']}
        if name in lists['train_pool']:
            assert not rare & {o['category'] for o in heard}
        assert name.startswith('train') == (
            name in lists['train_pool'] | lists['train_rest']
        )
    assert known
    assert len(lists['train_tail']) < 40
    with pytest.raises(DataError, match='test_common.txt, .* already'):
        make_lists.main()


def test_run_again(package, made, capsys):
    before = contents(made)
    run(package, made)
    printed = capsys.readouterr().out
    assert 'nothing to do' in printed
    assert '8 stamps left out' in printed
    assert 'animals/noisy.png: unreadable sound' in printed
    assert '3 left out: 1 the same picture, 1 too small, 1 unreadable image' in printed
    assert contents(made) == before


@pytest.mark.parametrize(
    ('more', 'message'),
    [
        (['--seed', '5'], 'holds clips of other settings: seed 0 (asked: 5)'),
        (['--clips', '2'], "--clips: must be a whole number, at least 3, got '2'"),
        (['--test', 'nan'], "--test: must be a number, from 0 to 1, got 'nan'"),
        (['--background', '99'], '--background: must be a number, from -60 to 20'),
        (['--val', '0.9'], 'leaves a split without clips'),
        (['--stamps', 'no/such'], 'no/such: no such folder'),
        (['--backgrounds', 'no/such'], 'no/such: no such folder'),
    ],
)
def test_refusals(package, made, capsys, more, message):
    with pytest.raises(SystemExit, match='^2$'):
        run(package, made, *more)
    assert message in capsys.readouterr().err


def test_changed_stamps_are_another_input(package, made, tmp_path, capsys):
    changed = tmp_path / 'changed'
    folder = package / 'usr' / 'share' / 'tuxpaint' / 'stamps'
    shutil.copytree(folder, changed)
    write_cutout(changed / 'animals' / 'kite.png', (200, 0, 0))
    with pytest.raises(SystemExit):
        run(package, made, '--stamps', str(changed))
    assert 'stamps' in capsys.readouterr().err


def test_too_few(package, tmp_path):
    with pytest.raises(DataError, match='0 usable classes'):
        stamps.read_stamps(tmp_path)
    with pytest.raises(DataError, match='2 usable photographs'):
        photos.share_out(['a', 'b'], 0)


def test_backgrounds_by_default(tmp_path):
    known = tmp_path / 'usr/share/backgrounds/mate/nature/Dune.jpg'
    write_photo(known, 0)
    write_photo(known.with_name('Logo.jpg'), 1)
    found = photos.find_backgrounds(tmp_path, None)
    assert found['backgrounds/mate/nature/Dune.jpg'] == known
    assert not [name for name in found if 'Logo' in name]
    assert all(n.startswith('skimage/') for n, p in found.items() if p != known)


@pytest.mark.parametrize('count', [3, 10, 54])
def test_every_split_has_photographs_of_its_own(count):
    named = [str(i) for i in range(count)]
    shares = photos.share_out(named, 0)
    assert sorted(sum(shares.values(), [])) == sorted(named)
    assert all(shares.values())
    assert len(shares['train']) >= len(shares['test']) >= len(shares['val'])
    assert shares == photos.share_out(named[::-1], 0)


def test_no_halo(tmp_path):
    write_cutout(tmp_path / 'a.png', (10, 20, 200), fringe=(255, 255, 255))
    image = stamps.read_cutout(tmp_path / 'a.png')
    assert (image[..., :3] == (10, 20, 200)).all()
    assert set(np.unique(image[..., 3])) == {0, 120, 255}
    # Trimmed: every border row and column has something to show.
    assert touches_all_sides(image[..., 3] > 0)


@pytest.mark.parametrize('factor', [16000 / 44100, 16000 / 8000, 1.07, 0.93])
def test_stretch_keeps_amplitude_and_moves_pitch(factor):
    wave = tone(500, 1.0, 16000)
    out = sound.stretch(wave, factor)
    assert len(out) == round(len(wave) * factor)
    expected = tone(500 / factor, factor, 16000)[: len(out)]
    middle = slice(len(out) // 4, len(out) // 2)
    np.testing.assert_allclose(out[middle], expected[middle], atol=0.02)


def test_copies_are_found_by_what_is_heard():
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 24000))
    first, second = (np.convolve(w, np.ones(8) / 8) for w in (first, second))
    shifted = np.concatenate([np.zeros(3000), 0.05 * first[2000:20000]])
    waves = [second, first, tone(300, rate=16000), shifted, -second, first]
    assert sound.find_copies(waves) == {3: 1, 4: 0, 5: 1}


@pytest.mark.parametrize('seconds', [0.1, 0.9, 1.0, 2.5])
def test_excerpt(seconds):
    wave = tone(440, seconds, 16000)
    out = sound.excerpt(wave, 16000, np.random.default_rng(3))
    assert out.shape == (16000,)
    assert sound.rms(out) > 0.2
    if seconds >= 1:
        places = range(len(wave) - 16000 + 1)
        assert any(np.array_equal(wave[at : at + 16000], out) for at in places)


def test_excerpt_avoids_pauses():
    wave = np.concatenate([tone(440, 0.5, 16000), np.zeros(160000, np.float32)])
    wave[-8000:] = tone(440, 0.5, 16000)
    drawn = [sound.excerpt(wave, 24000, np.random.default_rng(i)) for i in range(60)]
    every = [wave[at : at + 24000] for at in range(0, len(wave) - 24000, 1000)]
    loud, chance = (np.mean([sound.rms(w) > 0.05 for w in ws]) for ws in (drawn, every))
    assert loud > 2 * chance > 0


def test_background_of_silence_is_silent():
    rng, wave = np.random.default_rng(0), np.ones(8000, np.float32)
    with np.errstate(all='raise'):
        assert not sound.add_background(np.zeros(16000, np.float32), wave, 6, rng).any()
        loud = sound.add_background(np.full(16000, 0.7, np.float32), wave, 6, rng)
    assert np.abs(loud).max() == np.float32(0.98)


def test_frames_do_not_tell_what_sounds(made):
    objects = [pair for e in entries(made) for pair in enumerate(e['objects'])]
    # Front and back sound alike: both sorts of object have both places.
    for heard in (True, False):
        assert {0, 1} <= {place for place, o in objects if o['sounding'] == heard}


def test_real_package():
    root = os.environ.get('MMXPL_TUXPAINT')
    if not root:
        pytest.skip('MMXPL_TUXPAINT names no unpacked tuxpaint-stamps-default')
    result = stamps.read_stamps(Path(root))
    gone = {Path(name).stem for name in result.dropped}
    assert {'wombat', 'iguana', 'giraffe', 'nandou', 'mountaingoat'} <= gone
    assert not any('symbols' in p.name for k in result.kinds for p in k.photos)
    assert len({'badger', 'beaver'} & gone) == 1
    assert len(result.kinds) > 60
    every = {path.stem for path in stamps.find_stamps(Path(root)).rglob('*.png')}
    assert set(names.LEFT_OUT) <= every
    assert {stem for group in names.KINDS.values() for stem in group} <= every
