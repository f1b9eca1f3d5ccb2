"""Measurements, as ratios against a named reference in the same run. Nothing here is a test."""
