"""Small models and batches, and samples for metrics, for tests and examples."""

from ._scored import evaluate_samples, scored_samples, stack_maps
from ._tiny import tiny_batch, tiny_model_cfg

__all__ = [
    'evaluate_samples',
    'scored_samples',
    'stack_maps',
    'tiny_batch',
    'tiny_model_cfg',
]
