"""django-post-office: mail queued in the database of a Django site, and sent by its own command."""
