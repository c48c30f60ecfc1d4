"""Samplers."""

from .curriculum_sampler import CurriculumSampler, set_batch_size

__all__ = ['CurriculumSampler', 'set_batch_size']
