"""Recognises the test lists that papers report on."""

from collections.abc import Iterable

from mmxpl.utils import hash_ids

# fingerprints (hash_ids) of lists as EZ-VSL and SLAVC published them
PUBLISHED_LISTS = {
    '8acc0c933622': 'VGG-SS, 5158 clips',
    '619bccbc43cd': 'VGG-SS open set, heard, 2564 clips',
    'ad5f876fe0df': 'VGG-SS open set, unheard, 2575 clips',
    '92bc5c21ccfc': 'extended VGG-SS, 10316 pairs',
    '09c34846bd90': 'Flickr-SoundNet, 249 clips',
    '696ab39ce58b': 'Flickr-SoundNet, 250 clips',
    'a306003bff43': 'extended Flickr-SoundNet, 499 pairs',
    '6df0c758d4a5': 'extended Flickr-SoundNet, 500 pairs',
}


def name_list(ids: Iterable[str]) -> str | None:
    """Names a published test list.

    Args:
        ids (Iterable[str]): the ids of a list, in any order.

    Returns:
        str | None: Benchmark and number of clips; None if the list is a part of
        one, or any other.
    """
    return PUBLISHED_LISTS.get(hash_ids(ids))
