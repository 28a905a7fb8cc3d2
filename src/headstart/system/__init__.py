"""This machine: processor, memory, devices, packages, disk, locks and signals."""
