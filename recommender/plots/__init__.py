"""Pictures of one track, of two tracks, and of a whole library.

Nothing here loads matplotlib before something is drawn; without it (the extra `pictures`) a picture
is refused in one sentence. The HTML report needs it neither.
"""
