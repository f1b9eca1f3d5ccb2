"""What every area stands on and no area is known to."""
