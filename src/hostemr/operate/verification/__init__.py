"""What `hostemr verify` asks of a live OpenEMR or OpenMRS, and how it judges the answers."""
