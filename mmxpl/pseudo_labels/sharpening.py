"""From a predicted map to a pseudo-label."""

from torch import Tensor


def sharpen(prob: Tensor, temperature: float) -> Tensor:
    """Sharpens binary probabilities.

    ``S = p^(1/T) / (p^(1/T) + (1 - p)^(1/T))``, which is the logistic function
    of the logit divided by T: the two-class case of the sharpening that
    MixMatch (Berthelot et al., NeurIPS 2019, eq. 7) introduced and that XPL
    applies to localization maps.

    Args:
        prob (Tensor): probabilities in [0, 1], any shape.
        temperature (float): T > 0; below 1 sharpens, 1 leaves as is.

    Returns:
        Tensor: sharpened probabilities in [0, 1], same shape.
    """
    if temperature == 1:
        return prob
    eps = 1e-6  # fp32 keeps both p and 1 - p apart from 0 at this distance
    return (prob.float().clamp(eps, 1 - eps).logit() / temperature).sigmoid()


def harden(prob: Tensor, threshold: float = 0.5) -> Tensor:
    """Turns probabilities into hard labels, the vanilla pseudo-label.

    Args:
        prob (Tensor): probabilities in [0, 1], any shape.
        threshold (float): at and above it a cell is foreground.
            Defaults to 0.5.

    Returns:
        Tensor: zeros and ones, same shape and dtype.
    """
    return (prob >= threshold).to(prob.dtype)
