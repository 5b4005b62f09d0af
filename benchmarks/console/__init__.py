"""How fast the board's console answers on a database of a million registrations."""
