"""Maps of a video, smoothed over time."""

import math

from torch import Tensor


class MapSmoother:
    """Exponential moving average of maps that come at any times.

    After ``dt`` seconds the old average keeps the share ``exp(-dt / tau)``, so that
    the result does not depend on the frame rate. It looks back only: a change is
    followed to 63 % after ``tau`` seconds.

    Args:
        tau (float): time constant in seconds; 0 does not smooth.

    Raises:
        ValueError: If it is negative or not finite.
    """

    def __init__(self, tau: float) -> None:
        if not 0 <= tau < math.inf:
            raise ValueError(f'tau must be seconds from 0 on, got {tau!r}.')
        self.tau = tau
        self._mean: Tensor | None = None
        self._time = 0.0

    def __call__(self, prob: Tensor, time: float) -> Tensor:
        """Takes the map of a moment and gives the average.

        Args:
            prob (Tensor): map of any shape.
            time (float): seconds, not before that of the last call.

        Returns:
            Tensor: The average, in the range of the maps.
        """
        if self._mean is None or self.tau == 0:
            self._mean = prob
        else:
            kept = math.exp(-(time - self._time) / self.tau)
            self._mean = kept * self._mean + (1 - kept) * prob
        self._time = time
        return self._mean
