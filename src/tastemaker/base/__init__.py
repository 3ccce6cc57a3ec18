"""What every layer may use: errors, durable files, keyed random draws, progress bars."""
