"""Reading of real input: documents, images, audio and video."""
