"""Usage reports (telemetry) of installations."""
