"""Files and directories that nobody is trusted about: by descriptor, without links, of bounded size."""
