"""A catalog that follows a library of beets; the plugin itself is `beetsplug.soundalike`."""
