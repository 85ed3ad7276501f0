"""What the emulator adds to moto's own services: event delivery, running functions, IAM enforcement."""
