"""Samplers."""

from .curriculum_sampler import CurriculumSampler, set_batch_size
