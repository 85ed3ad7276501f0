"""What all parts of the emulator share: settings, faults, errors, S3 objects, and how moto finds the backends."""
