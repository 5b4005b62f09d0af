"""Messages of the board to every registered address."""
