"""Writes lists of clips with too few of some classes, beside those of make_scenes.py.

The last third of the classes, in the order of a hash of their names, is *rare*:

- ``train_tail.txt``: training clips of long-tailed classes; of class k of n,
  ``TAIL ** (-k / (n - 1))`` of the clips are left.
- ``train_pool.txt`` and ``train_rest.txt``: clips to label, in which nothing rare
  sounds, and the other clips of the training split, with everything.
- ``train_common.txt`` and ``val_common.txt``: clips in which nothing rare is seen or
  heard; with them the rare classes are an open set.
- ``test_common.txt`` and ``test_rare.txt``: test clips in which nothing rare sounds,
  and in which nothing else does.

Of all classes:

- ``test_known.txt``, ``test_new_photo.txt`` and ``test_new_sound.txt``: test clips in
  which training knows the photographs and the recordings of all that sounds, and in
  which it knows none of the photographs, or none of the recordings.
"""

import argparse
import hashlib
from pathlib import Path

from mmxpl.datasets.json_io import read_json
from mmxpl.utils import DataError
from mmxpl.utils.cli import one_clear_error

TAIL = 20  # clips of the most frequent class for one of the rarest


def main() -> None:
    """Reads annotations.json and writes the lists."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('root', type=Path, help='folder that make_scenes.py wrote')
    root = parser.parse_args().root
    known = read_json(root / 'annotations.json')
    classes = known.get('metainfo', {}).get('classes', [])
    if len(classes) < 3 or 'objects' not in known['data_list'][0]:
        raise DataError(
            f'{root}/annotations.json: lists need three classes and the objects of '
            'each clip. Name a folder that make_scenes.py wrote.'
        )
    classes = sorted(classes, key=_rank)
    rare = set(classes[-(len(classes) // 3) :])
    lists: dict[str, list[str]] = {}
    seen_of_class = dict.fromkeys(classes, 0)
    for clip in known['data_list']:
        name = clip['sample_id']
        split = name.split('_')[0]
        seen = {thing['category'] for thing in clip['objects']}
        sounding = [thing for thing in clip['objects'] if thing['sounding']]
        heard = {thing['category'] for thing in sounding}
        chosen = []
        if split != 'test' and not seen & rare:
            chosen.append(f'{split}_common')
        if split == 'test' and heard and not heard & rare:
            chosen.append('test_common')
        if split == 'test' and heard and heard <= rare:
            chosen.append('test_rare')
        if split == 'test' and heard:
            new = [f'new_{x}' for x in ('photo', 'sound')]
            chosen += [f'test_{x}' for x in new if all(t[x] for t in sounding)]
            if not any(t[x] for t in sounding for x in new):
                chosen.append('test_known')
        if split == 'train':
            # every other clip without a rare sound
            pooled = not heard & rare and int(_rank(name)[:8], 16) % 2 == 0
            chosen.append('train_pool' if pooled else 'train_rest')
            first = clip['category']
            share = TAIL ** (-classes.index(first) / (len(classes) - 1))
            seen_of_class[first] += 1
            if int(seen_of_class[first] * share) > int(
                (seen_of_class[first] - 1) * share
            ):
                chosen.append('train_tail')
        for key in chosen:
            lists.setdefault(key, []).append(name)
    there = [f'{key}.txt' for key in lists if (root / f'{key}.txt').exists()]
    if there:
        raise DataError(f'{root}: has {", ".join(sorted(there))} already; remove them.')
    for key, names in sorted(lists.items()):
        (root / f'{key}.txt').write_text(''.join(f'{name}\n' for name in names))
        print(f'{root / key}.txt: {len(names)} clips')


def _rank(name: str) -> str:
    """Orders names at random, but the same on every machine."""
    return hashlib.sha256(name.encode()).hexdigest()


if __name__ == '__main__':
    with one_clear_error():
        main()
