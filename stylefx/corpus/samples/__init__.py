"""What is known of samples before their audio is read, and what was added beside them."""
