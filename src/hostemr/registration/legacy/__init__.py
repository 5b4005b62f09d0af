"""Taking over the original service's table `product(uuid, email)`."""
