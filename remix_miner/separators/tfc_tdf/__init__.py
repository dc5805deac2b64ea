"""TFC-TDF-U-Nets: v1, v2 and v3, and KUIELab-MDX-Net, which is made of them."""
