"""Ensembles of separators: recipes, execution, blending weights."""
