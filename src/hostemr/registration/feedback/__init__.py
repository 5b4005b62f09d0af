"""What comes back from recipients: opting out, coming back, being forgotten."""
