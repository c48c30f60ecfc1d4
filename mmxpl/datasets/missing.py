"""What happens to ids that have no file or no annotation."""

import logging
from collections.abc import Mapping, Sequence

from mmengine.logging import print_log

from mmxpl.utils import DataError

from .id_list import name_some

POLICIES = ('error', 'skip')


def handle_missing(
    missing: Mapping[str, Sequence[str]], policy: str, total: int, source: str
) -> None:
    """Refuses a list whose clips are not all there, or says what is left out.

    Args:
        missing (Mapping[str, Sequence[str]]): ids by what they lack, for
            example ``{'no frame in /data/frames': ['a', 'b']}``.
        policy (str): 'error' or 'skip'.
        total (int): number of ids asked for.
        source (str): the list or folder that named the ids.

    Raises:
        DataError: With policy 'error', if anything is missing.
    """
    lacking = {reason: ids for reason, ids in missing.items() if ids}
    if not lacking:
        return
    count = len(set().union(*lacking.values()))
    if policy == 'error':
        reasons = '; '.join(
            f'{len(ids)} have {reason} ({name_some(ids)})'
            for reason, ids in lacking.items()
        )
        raise DataError(
            f'{count} of {total} ids of {source} cannot be used: {reasons}. Bring what '
            "is missing, take the ids out of the list, or set missing='skip' to leave "
            'them out of the whole run.'
        )
    reasons = '; '.join(
        f'{len(ids)} have {reason}: {", ".join(ids)}' for reason, ids in lacking.items()
    )
    print_log(
        f"{count} of {total} ids of {source} are left out (missing='skip'): {reasons}",
        logger='current',
        level=logging.WARNING,
    )
