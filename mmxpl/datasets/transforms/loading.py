"""Reads frames and sounds from disk."""

from mmcv.transforms import BaseTransform

from mmxpl.registry import TRANSFORMS

from ..audio_io import read_waveform
from ..image_io import read_frame


@TRANSFORMS.register_module()
class LoadFrame(BaseTransform):
    """Reads a frame and resizes it to the size that the model takes.

    The aspect is not kept: the result is the canonical frame, in which boxes
    and maps live.

    Required keys: ``img_path``. Added keys: ``img`` (uint8 array of shape
    (H, W, 3), BGR), ``ori_shape`` (h, w of the frame as it is displayed) and
    ``img_shape`` (H, W).

    Args:
        size (int | tuple[int, int]): height and width in pixels; one number for
            a square.
    """

    def __init__(self, size: int | tuple[int, int]) -> None:
        self.size = (size, size) if isinstance(size, int) else tuple(size)
        if len(self.size) != 2 or not all(
            isinstance(side, int) and side > 0 for side in self.size
        ):
            raise ValueError(
                f'size must be one or two positive integers (H, W), got {size!r}.'
            )

    def transform(self, results: dict) -> dict:
        """Reads the frame of one clip.

        Args:
            results (dict): with the required keys.

        Returns:
            dict: With the added keys.

        Raises:
            DataError: If the file is missing, empty or no image.
        """
        results['img'], results['ori_shape'] = read_frame(
            results['img_path'], self.size
        )
        results['img_shape'] = self.size
        return results

    def __repr__(self) -> str:
        """Writes the transform as it is built."""
        return f'{type(self).__name__}(size={self.size})'


@TRANSFORMS.register_module()
class LoadAudio(BaseTransform):
    """Reads an excerpt of a sound as a mono waveform.

    A sound that is shorter than the excerpt is repeated until it fills it.

    Required keys: ``audio_path``. Added key: ``audio`` (float32 array of shape
    (T,), T = sample_rate * duration, in [-1, 1]).

    Args:
        sample_rate (int): samples per second of the result. Defaults to 16000.
        duration (float): seconds to read. Defaults to 3.0.
        offset (str | float): where the excerpt begins, in seconds, or 'center'.
            One that would reach beyond the end begins earlier. Defaults to
            'center'.
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        duration: float = 3.0,
        offset: str | float = 'center',
    ) -> None:
        if sample_rate <= 0 or duration <= 0:
            raise ValueError(
                'sample_rate and duration must be positive, got '
                f'{sample_rate} and {duration}.'
            )
        if offset != 'center' and (isinstance(offset, str) or offset < 0):
            raise ValueError(
                f"offset must be 'center' or seconds from the start, got {offset!r}."
            )
        self.sample_rate = sample_rate
        self.duration = duration
        self.offset = offset

    def transform(self, results: dict) -> dict:
        """Reads the sound of one clip.

        Args:
            results (dict): with the required keys.

        Returns:
            dict: With the added key.

        Raises:
            DataError: If the file is missing, empty, truncated or no sound.
        """
        results['audio'] = read_waveform(
            results['audio_path'], self.sample_rate, self.duration, self.offset
        )
        return results

    def __repr__(self) -> str:
        """Writes the transform as it is built."""
        return (
            f'{type(self).__name__}(sample_rate={self.sample_rate}, '
            f'duration={self.duration}, offset={self.offset!r})'
        )
