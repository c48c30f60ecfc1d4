"""Inference with trained models, and their export."""

from .inference import load_learner
from .inferencer import XPLInferencer
