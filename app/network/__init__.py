"""Where orders come from and where stock lies: channels, locations, and which serves which."""
