"""The product-registration service of the OEMR non-profit: who runs OpenEMR, and how to reach them."""
