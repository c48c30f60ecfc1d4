"""Inference for those who have a trained model."""

from .inferencer import XPLInferencer
from .loading import load_learner

__all__ = ['XPLInferencer', 'load_learner']
