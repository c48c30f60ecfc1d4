"""Inference with trained models, and their export."""

from .inferencer import XPLInferencer
from .loading import load_learner

__all__ = ['XPLInferencer', 'load_learner']
