"""Small models and batches for tests and examples."""

from ._tiny import tiny_batch, tiny_model_cfg

__all__ = ['tiny_batch', 'tiny_model_cfg']
