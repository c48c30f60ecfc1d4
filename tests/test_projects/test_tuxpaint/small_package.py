"""A small package of stamps and photographs; its clips can be told by their files."""

import cv2
import numpy as np
import soundfile

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


def write_package(root):
    """Writes an unpacked package with four good classes and one of every bad stamp."""
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


def touches_all_sides(mask):
    return all(s.any() for s in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))
