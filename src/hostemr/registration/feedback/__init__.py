"""What comes back from recipients: opting out."""
