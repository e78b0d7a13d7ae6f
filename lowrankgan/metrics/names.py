"""What scores are called and where they divide, apart from the networks that give them.

Tables speak of scores and run no network: this loads neither torch nor dlib.
"""

GARMENT_SCORES = ("class_probability", "width", "coverage", "brightness")
SAME_PERSON = 0.6
"""Distance of `identity.FaceIdentity`'s embeddings below which two faces are of one person."""
