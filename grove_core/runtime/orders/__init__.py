"""What workers are told and asked, and what comes of it."""
