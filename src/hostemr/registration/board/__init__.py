"""The board's console: who may sign in, what each of them may do, and the log of what they did."""
