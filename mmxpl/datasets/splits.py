"""Division into labeled and unlabeled clips, and checks that parts share no clip."""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from mmxpl.utils import DataError, hash_ids
from mmxpl.utils.files import write_result
from mmxpl.utils.ids import name_some

from .id_list import Clip, format_list, read_clip_list

SUBSETS = ('all', 'labeled', 'unlabeled')
SPLITS = ('train', 'val', 'test')


def select_subset(
    ids: Sequence[str], subset: str, fraction: float | None = None, seed: int = 0
) -> list[str]:
    """Selects the labeled or the unlabeled part, or 'all', of N different ids.

    The part of an id depends only on the set of ids, the fraction in (0, 1] and the
    seed, not on their order or on the machine. Ids are ranked by a hash of seed and id,
    and the first ``round(fraction * N)`` are labeled; at least one is, and below a
    fraction of 1 at least one is not. The labeled part of a smaller fraction lies
    within that of a larger one. The ids returned keep their order.
    """
    check_subset(subset, fraction)
    if subset == 'all':
        return list(ids)
    count = max(round(fraction * len(ids)), 1)
    if fraction < 1:
        count = min(count, max(len(ids) - 1, 1))
    chosen = set(sorted(ids, key=lambda i: _rank(seed, i))[:count])
    return [i for i in ids if (i in chosen) == (subset == 'labeled')]


def check_subset(subset: str, fraction: float | None) -> None:
    """Validates the arguments of :func:`select_subset`."""
    if subset not in SUBSETS:
        raise ValueError(f"subset must be one of {SUBSETS}, got '{subset}'.")
    if subset == 'all':
        return
    numeric = isinstance(fraction, int | float) and not isinstance(fraction, bool)
    if not numeric or not 0 < fraction <= 1:
        raise ValueError(
            f"subset='{subset}' needs a fraction (labeled_fraction of a "
            'SplitDataset) in (0, 1], the share of labeled clips, got '
            f'{fraction!r}.'
        )


def choose_stratified(
    ids: Sequence[str], classes: Mapping[str, str], count: int, seed: int = 0
) -> list[str]:
    """Chooses ``count`` of N different ids so that every class has its share of them.

    Systematic sampling: the ids are laid out class after class, classes and ids within
    each in the order of a hash of seed and name, and those at even distances are taken.
    Of a class with n of N ids, ``n * count / N`` are chosen, rounded up or down; ids
    without a class form one. The order of the ids, which is kept, and the machine do
    not matter.
    """
    total = len(ids)
    if not 0 <= count <= total:
        raise ValueError(f'count must be in [0, {total}], got {count}.')
    laid_out = sorted(
        ids, key=lambda i: (_rank(seed, f'class {classes.get(i, "")}'), _rank(seed, i))
    )
    chosen = {
        i
        for n, i in enumerate(laid_out)
        if (n + 1) * count // total > n * count // total
    }
    return [i for i in ids if i in chosen]


def _rank(seed: int, name: str) -> tuple[bytes, str]:
    """Sort key: random, but the same on every machine."""
    return hashlib.sha256(f'{seed}:{name}'.encode()).digest(), name


def check_disjoint(named_ids: Mapping[str, Sequence[str]]) -> None:
    """Refuses parts of the data, ids by name, that share clips, by a DataError.

    Scores would be too good if labeled clips were also unlabeled, in a second labeled
    list or evaluated, if unlabeled clips were evaluated, or if validation clips were
    tested on.
    """
    sets = {name: set(ids) for name, ids in named_ids.items()}
    problems = [
        f"'{left}' and '{right}' share {len(shared)} ids ({name_some(sorted(shared))})"
        for left, right in combinations(sets, 2)
        if (shared := sets[left] & sets[right])
    ]
    if problems:
        raise DataError(
            f'Clips occur in two parts of the data: {"; ".join(problems)}. Take them '
            'out of one of the lists, or choose subset, fraction and split_seed alike '
            'for the labeled and the unlabeled set.'
        )


@dataclass(frozen=True)
class ClipList:
    """List of clips, possibly with duplicates, of a split, 'train', 'val' or 'test'."""

    path: str
    split: str
    clips: Sequence[Clip]

    @property
    def used_ids(self) -> set[str]:
        """set[str]: ids of clips whose frame or sound is used."""
        return {i for clip in self.clips for i in (clip.frame_id, clip.audio_id)}


def read_lists(paths: Mapping[str, Iterable[str]]) -> list[ClipList]:
    """Reads the lists of each split, in the order of train, val and test."""
    return [
        ClipList(str(path), split, read_clip_list(path))
        for split in SPLITS
        for path in paths.get(split) or ()
    ]


def check_lists(lists: Sequence[ClipList]) -> tuple[list[dict], dict[str, dict]]:
    """Finds ids that occur twice in a list or in two splits.

    Two lists of the training split, such as labeled and unlabeled clips, must not share
    clips either. Two lists of the validation or the test split may, because extended
    sets use the clips of the plain ones.

    Returns:
        tuple[list[dict], dict[str, dict]]: For each list ``path``, ``split``, ``count``
        of different clips, ``id_list_hash`` and ``duplicates``; and for each pair of
        given splits (``train_test``, ...) ``count`` and sorted ``ids`` of the shared.
    """
    facts = []
    for one in lists:
        counts = Counter(clip.sample_id for clip in one.clips)
        twice = sorted(i for i, n in counts.items() if n > 1)
        fact = dict(path=one.path, split=one.split, count=len(counts))
        facts.append(dict(fact, id_list_hash=hash_ids(counts), duplicates=twice))
    shared: dict[str, set[str]] = {}
    in_order = sorted(lists, key=lambda one: SPLITS.index(one.split))
    for left, right in combinations(in_order, 2):
        if left.split != right.split or left.split == 'train':
            ids = shared.setdefault(f'{left.split}_{right.split}', set())
            ids |= left.used_ids & right.used_ids
    return facts, {n: dict(count=len(i), ids=sorted(i)) for n, i in shared.items()}


def check_contents(
    lists: Sequence[ClipList], groups: Iterable[Sequence[str]]
) -> dict[str, list[list[str]]]:
    """Finds files of the same content that are used in two splits.

    ``groups`` are the ``sample_id`` of clips that share the content of their frame, or
    of their sound. Returns those with clips in both splits, by pair of given splits
    (``train_test``, ...).
    """
    ids = {
        split: {c.sample_id for one in lists if one.split == split for c in one.clips}
        for split in SPLITS
    }
    groups = list(groups)
    return {
        f'{left}_{right}': [
            list(group)
            for group in groups
            if not ids[left].isdisjoint(group) and not ids[right].isdisjoint(group)
        ]
        for left, right in combinations(SPLITS, 2)
        if ids[left] and ids[right]
    }


def clean_lists(
    lists: Sequence[ClipList],
    unusable: Collection[str],
    folder: str | Path,
    groups: Iterable[Sequence[str]] = (),
) -> list[tuple[str, int, int]]:
    """Writes the lists without duplicates, unusable clips and leaks.

    A training clip that is evaluated is removed from training, a validation clip that
    is tested on from validation, and of two training lists the first keeps a clip. Of
    ``groups`` of clips that share the content of a file, if one is evaluated, the
    others are removed from training. ``unusable`` are ids of clips that cannot be used.

    The order of lines is kept; of plain lists only the ids are written. The lists keep
    their names in ``folder``. No file is overwritten, and no list may be left empty.

    Returns:
        list[tuple[str, int, int]]: New file and number of lines after and before.
    """
    folder, groups, unusable = Path(folder), list(groups), set(unusable)
    taken, texts = {split: set() for split in SPLITS}, {}
    # test clips stay; what comes later in this order gives way
    for one in sorted(lists, key=lambda one: -SPLITS.index(one.split)):
        later = SPLITS[SPLITS.index(one.split) + 1 :]
        barred = set().union(*(taken[split] for split in later))
        barred.update(*(group for group in groups if not barred.isdisjoint(group)))
        if one.split == 'train':
            barred |= taken['train']
        kept = [
            clip
            for clip in dict.fromkeys(one.clips)
            if clip.sample_id not in unusable and barred.isdisjoint(clip)
        ]
        if not kept:
            raise DataError(f'{one.path}: no clip would be left. Look at the report.')
        taken[one.split] |= {i for clip in kept for i in clip[:3]}
        target = folder / Path(one.path).name
        if target in texts or target.exists():
            raise DataError(
                f'{target}: exists already, or two lists have this name. Name an '
                'empty folder, or rename a list.'
            )
        texts[target] = (format_list(kept, target), len(kept), len(one.clips))
    folder.mkdir(parents=True, exist_ok=True)
    for target, (text, _, _) in texts.items():
        write_result(target, text)
    return [(str(target), new, old) for target, (_, new, old) in texts.items()]
