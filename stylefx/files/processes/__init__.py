"""What processes know of one another: who holds a lease and lives, and that one is being started."""
