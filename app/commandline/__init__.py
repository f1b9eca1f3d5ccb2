"""What the orderwire command does, one module a command; app.cli names them and loads them when they are used."""
