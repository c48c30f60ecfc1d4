"""Scenes with exact masks from photo cut-outs and their recordings."""
