def orders(file, target): return iter(())
