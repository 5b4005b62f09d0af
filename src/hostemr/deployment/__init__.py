"""What a deployment is, as frozen data. Imports nothing of hostemr but its errors."""
