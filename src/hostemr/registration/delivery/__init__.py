"""Sending a broadcast: workers claim chunks of its audience and hand them to a sender."""
