"""The fixed rule at the threshold that the validation split asks for."""

from collections.abc import Iterable, Mapping

from mmxpl.evaluation.functional import ALL_RULES, RULES, SWEEP

SCORED_RULES = (*RULES, *SWEEP)
"""tuple[str]: rules that a comparison scores maps by."""


def choose_threshold(val: Mapping[str, float], row: str) -> str:
    """Chooses the threshold under which a row is best on the validation split.

    The measure is the AUC, which varies less than CIoU@0.5 over few clips.

    Args:
        val (Mapping[str, float]): scores of the validation split by key, under
            the rules of :data:`mmxpl.evaluation.functional.SWEEP`.
        row (str): model or reference, such as 'ens'.

    Returns:
        str: the rule; of equals, the one with the lowest threshold.
    """
    return max(SWEEP, key=lambda rule: val[f'{row}/AUC_{rule}'])


def with_chosen(
    scores: Mapping[str, float], val: Mapping[str, float], rows: Iterable[str]
) -> dict[str, float]:
    """Adds the scores at each row's own threshold.

    A probability of 0.5 is no better a place to cut a map than another, and what
    methods differ in under the rule ``fixed`` is mostly how much of the frame
    their maps cover. Here every method and model may choose, on clips that are
    neither trained on nor reported.

    Args:
        scores (Mapping[str, float]): scores of a split by key.
        val (Mapping[str, float]): scores of the validation split by key.
        rows (Iterable[str]): models and references.

    Returns:
        dict[str, float]: the scores, with ``<row>/CIoU@0.5_chosen`` and
        ``<row>/AUC_chosen`` in per cent and ``<row>/threshold``, a probability.
    """
    found = dict(scores)
    for row in rows:
        rule = choose_threshold(val, row)
        for score in ('CIoU@0.5', 'AUC'):
            found[f'{row}/{score}_chosen'] = scores[f'{row}/{score}_{rule}']
        found[f'{row}/threshold'] = ALL_RULES[rule].level
    return found
