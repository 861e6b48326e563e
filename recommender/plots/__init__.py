"""Pictures of what the machine hears: one track, two tracks, a whole library.

Nothing here loads matplotlib before something is drawn; without it (the extra `pictures`) a picture
is refused in one sentence. The HTML report needs it neither.
"""
