"""Files and directories of which nothing is trusted: by descriptor, without links, of bounded size."""
