"""GNU Mailman 3 with a list of announcements whose every member gets a message of their own."""
