"""Wavelet scattering transform."""
