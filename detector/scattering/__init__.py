"""The wavelet scattering transform."""
