"""What is true of a module now, and what every verb needs besides."""
