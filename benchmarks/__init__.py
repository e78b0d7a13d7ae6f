"""Speed, shown by running both sides in one process: `make bench`, `make bench-gpu`."""
