"""Makes a batch of samples."""

from collections.abc import Sequence

from torch.utils.data import default_collate

from mmxpl.registry import FUNCTIONS
from mmxpl.utils import DataError


@FUNCTIONS.register_module()
def av_collate(samples: Sequence[dict]) -> dict:
    """Stacks images and sounds; data samples stay a list.

    In a worker process the tensors are stacked into shared memory at once,
    where MMEngine's ``pseudo_collate`` would pass each of them by itself. In a
    config: ``collate_fn=dict(type='mmxpl.av_collate')``; MMEngine looks collate
    functions up without the default scope.

    Args:
        samples (Sequence[dict]): B results of :class:`PackAVInputs`.

    Returns:
        dict: ``inputs`` with ``img`` (B, 3, H, W) uint8 and ``audio`` (B, T)
        float32, and ``data_samples``, a list of B.

    Raises:
        DataError: If the samples differ in shape.
    """
    inputs = {}
    for key in samples[0]['inputs']:
        tensors = [sample['inputs'][key] for sample in samples]
        for tensor, sample in zip(tensors, samples, strict=True):
            if tensor.shape != tensors[0].shape:
                raise DataError(
                    f"inputs['{key}'] of '{sample['data_samples'].sample_id}' has "
                    f'shape {tuple(tensor.shape)}, others of the batch have '
                    f'{tuple(tensors[0].shape)}. Give all pipelines of a loader the '
                    'same sizes.'
                )
        inputs[key] = default_collate(tensors)
    return {
        'inputs': inputs,
        'data_samples': [sample['data_samples'] for sample in samples],
    }
