"""Photographs and recordings of GCompris."""
